import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.adapters.sqlite_store import SqliteStore
from shared.app.control import requeue
from shared.app.groups import mark_stale
from shared.app.poll import poll
from shared.app.publish import publish, publish_if_due
from shared.app.submit import submit
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName
from shared.domain.policy import Policy
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


def test_publishing_that_never_ends_is_not_begun_at_every_chance(home: Home) -> None:
    home.write("a.md", "# A")
    home.see()
    count = home.store.count

    def killed(job: object) -> object:
        raise KeyboardInterrupt

    home.store.count = killed  # type: ignore[method-assign,assignment]
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            due(home)
        home.later(minutes=5)
    assert not due(home)
    home.later(minutes=90)
    with pytest.raises(KeyboardInterrupt):
        due(home)
    home.store.count = count  # type: ignore[method-assign]
    assert not due(home)
    home.later(minutes=94)
    assert due(home)
    assert list(home.store.stale_jobs()) == []
    mark_stale(home.store, JOB)
    assert due(home), "what came to its end forgets what didn't"


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


class Lagging(SqliteStore):
    """Its index shows what failed as it was when somebody last said so."""

    shown: tuple[Document, ...] = ()

    def failed(self, job: JobName) -> Iterator[Document]:
        return iter(self.shown)

    def catch_up(self, job: JobName) -> None:
        self.shown = tuple(super().failed(job))


@pytest.fixture
def store() -> Iterator[Lagging]:
    made = Lagging(":memory:")
    yield made
    made.close()


def listed(home: Home) -> list[str]:
    lines = (Path(home.root) / "output" / "failures.jsonl").read_text().splitlines()
    return [json.loads(line)["path"] for line in lines]


def test_a_failure_that_the_index_hides_yet_is_published_later(home: Home, store: Lagging) -> None:
    policy = Policy(index_lag=timedelta(seconds=60))
    home.deps = replace(home.deps, store=store, policy=policy)
    home.write("empty.md", b"")
    home.see()
    asyncio.run(submit(home.deps))
    publish(home.deps, JOB)
    assert listed(home) == []
    assert [job.name for job in store.stale_jobs()] == [JOB]
    store.catch_up(JOB)
    publish(home.deps, JOB)
    assert listed(home) == ["empty.md"]
    assert list(store.stale_jobs()) == []


def test_a_failure_that_waits_again_is_not_published_though_the_index_shows_it(
    home: Home, store: Lagging
) -> None:
    policy = Policy(index_lag=timedelta(seconds=60))
    home.deps = replace(home.deps, store=store, policy=policy)
    home.write("empty.md", b"")
    home.see()
    asyncio.run(submit(home.deps))
    store.catch_up(JOB)
    assert requeue(home.deps, JOB, final=True) == 1
    publish(home.deps, JOB)
    assert listed(home) == []


def test_a_job_stays_marked_while_one_of_its_batches_is_being_closed(home: Home) -> None:
    home.write("a.md", "# A\n")
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    mark_stale(home.store, JOB)
    publish(home.deps, JOB)
    assert [job.name for job in home.store.stale_jobs()] == [JOB]
    asyncio.run(home.collect_all())
    publish(home.deps, JOB)
    assert list(home.store.stale_jobs()) == []
