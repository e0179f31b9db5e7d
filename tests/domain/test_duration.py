from datetime import timedelta

from shared.domain.batch import Batch, BatchStatus
from shared.domain.duration import Pace, pace
from shared.domain.ids import BatchId
from tests.domain.test_batch import NOW, batch


def ended(number: int, minutes: int, status: BatchStatus = BatchStatus.COLLECTED) -> Batch:
    return batch(
        status,
        id=BatchId(f"b{number:011}"),
        created_at=NOW,
        ended_at=NOW + timedelta(minutes=minutes),
    )


def test_what_was_collected_says_how_long_it_took_and_nothing_else_does() -> None:
    assert pace([]) is None
    assert pace([batch(BatchStatus.IN_PROGRESS), ended(1, 5, BatchStatus.FAILED)]) is None
    found = pace([ended(1, 4), ended(2, 31), ended(3, 9), batch(BatchStatus.IN_PROGRESS)])
    assert found == Pace(batches=3, shortest=timedelta(minutes=4), longest=timedelta(minutes=31))
