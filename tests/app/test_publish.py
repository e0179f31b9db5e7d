import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from shared.adapters.sqlite_store import SqliteStore
from shared.app.control import requeue
from shared.app.publish import publish
from shared.app.submit import submit
from shared.domain.document import Document
from shared.domain.ids import JobName
from shared.domain.policy import Policy
from tests.app.home import JOB, Home


class Lagging(SqliteStore):
    """Its index shows what failed as it was when somebody last said so."""

    shown: tuple[Document, ...] = ()

    def failed(self, job: JobName) -> Iterator[Document]:
        return iter(self.shown)

    def catch_up(self, job: JobName) -> None:
        self.shown = tuple(super().failed(job))


def published(home: Home) -> list[str]:
    lines = (Path(home.root) / "output" / "failures.jsonl").read_text().splitlines()
    return [json.loads(line)["path"] for line in lines]


def test_a_failure_that_the_index_hides_yet_is_published_later(home: Home) -> None:
    store = Lagging(":memory:")
    policy = Policy(index_lag=timedelta(seconds=60))
    home.deps = replace(home.deps, store=store, policy=policy)
    home.write("empty.md", b"")
    home.see()
    asyncio.run(submit(home.deps))
    publish(home.deps, JOB)
    assert published(home) == []
    assert [job.name for job in store.stale_jobs()] == [JOB]
    store.catch_up(JOB)
    publish(home.deps, JOB)
    assert published(home) == ["empty.md"]
    assert list(store.stale_jobs()) == []


def test_a_failure_that_waits_again_is_not_published_though_the_index_shows_it(
    home: Home,
) -> None:
    store = Lagging(":memory:")
    policy = Policy(index_lag=timedelta(seconds=60))
    home.deps = replace(home.deps, store=store, policy=policy)
    home.write("empty.md", b"")
    home.see()
    asyncio.run(submit(home.deps))
    store.catch_up(JOB)
    assert requeue(home.deps, JOB, final=True) == 1
    publish(home.deps, JOB)
    assert published(home) == []
