import asyncio
import json
from datetime import timedelta

import pytest

from shared.app.publish import publish, publish_if_due
from shared.domain.document import DocumentStatus
from shared.ports.store import StoreUnavailable
from tests.app.home import JOB, Home


def slow(home: Home, **time: float) -> None:
    """Let every count of the job's documents take so long."""
    count = home.store.count

    def counting(job: object) -> dict[str, dict[DocumentStatus, int]]:
        home.later(**time)
        return count(JOB)

    home.store.count = counting  # type: ignore[method-assign]


def due(home: Home) -> bool:
    [job] = home.store.stale_jobs()
    return publish_if_due(home.deps, job)


def test_what_is_published_is_what_the_state_says(home: Home) -> None:
    home.write("legal/empty.md", "")
    home.write("legal/nda.md", "# NDA")
    home.see()
    asyncio.run(home.finish())
    publish(home.deps, JOB)
    [line] = (home.root / "output" / "failures.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == "legal/empty.md"
    summary = json.loads((home.root / "output" / "summary.json").read_text())
    assert summary["groups"]["legal"]["documents"] == {
        "total": 2,
        "waiting": 0,
        "in_batch": 0,
        "reported": 1,
        "failed": 1,
    }


def test_a_large_job_is_published_for_a_twentieth_of_the_time_at_most(home: Home) -> None:
    home.write("a.md", "# A")
    home.see()
    slow(home, seconds=30)
    assert due(home)
    home.write("b.md", "# B")
    home.see()
    assert not due(home)
    home.later(minutes=9, seconds=59)
    assert not due(home)
    home.later(seconds=1)
    assert due(home)
    assert list(home.store.stale_jobs()) == []


def test_a_change_while_it_is_published_leaves_the_job_stale_and_the_cost_noted(
    home: Home,
) -> None:
    home.write("a.md", "# A")
    home.see()
    write = home.deps.reports.write_many

    def meanwhile(items: object) -> None:
        home.later(seconds=1)
        home.write("b.md", "# B")
        home.see()
        write(items)  # type: ignore[arg-type]

    home.deps.reports.write_many = meanwhile  # type: ignore[method-assign]
    publish(home.deps, JOB)
    [job] = home.store.stale_jobs()
    assert job.published_at == home.now
    assert job.publishing_s == timedelta(seconds=1).total_seconds()


def test_failures_that_cannot_be_read_to_their_end_leave_the_file_as_it_was(home: Home) -> None:
    home.write("empty.md", "")
    home.see()
    asyncio.run(home.finish())
    publish(home.deps, JOB)
    before = (home.root / "output" / "failures.jsonl").read_bytes()
    assert before

    def breaks(job: object) -> object:
        raise StoreUnavailable("the table is away")

    home.store.failed = breaks  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailable):
        publish(home.deps, JOB)
    assert (home.root / "output" / "failures.jsonl").read_bytes() == before
