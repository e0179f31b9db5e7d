from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from shared.adapters.sqlite_store import SqliteStore
from shared.domain.batch import Batch, BatchStatus
from shared.domain.group import Group
from shared.domain.ids import BatchId, JobName
from shared.wiring.ambient import utc_now
from shared.wiring.gauges import gauges

JOB = JobName("job")
NOW = utc_now()


def batch(number: int, status: BatchStatus, hours: float) -> Batch:
    ago = NOW - timedelta(hours=hours)
    return Batch(
        id=BatchId(f"{number:012}"),
        job=JOB,
        group="",
        recipe="r",
        fingerprint="f",
        model="m",
        betas=(),
        status=status,
        size=1,
        planned_at=ago - timedelta(minutes=1),
        next_at=NOW + timedelta(days=1),
        created_at=ago if status is not BatchStatus.SUBMITTING else None,
        intent_at=ago,
    )


def test_nothing_there_is_of_no_age(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    assert set(gauges(store, now=NOW).values()) == {0}
    store.close()


def test_the_oldest_of_each_kind_is_found_whenever_it_is_due(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    for number, (status, hours) in enumerate(
        [
            (BatchStatus.IN_PROGRESS, 3),
            (BatchStatus.IN_PROGRESS, 1),
            (BatchStatus.SUBMITTING, 5),
            (BatchStatus.PLANNED, 50),
            (BatchStatus.ENDED, 30),
            (BatchStatus.ENDED, 31),
            (BatchStatus.COLLECTED, 90),
        ]
    ):
        store.plan(batch(number, status, hours), [])
    store.swap_group(Group(job=JOB, name="new", since=NOW, touched=NOW))
    waits = Group(job=JOB, name="old", since=NOW - timedelta(hours=2), touched=NOW)
    store.swap_group(replace(waits, ready=False))
    assert gauges(store, now=NOW) == {
        "oldest_waiting_s": 2 * 3600,
        "oldest_batch_s": 5 * 3600,
        "oldest_results_s": 31 * 3600,
        "live_batches": 5,
    }
    store.close()
