"""Jobs as they may stand, for what shows them."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from shared.domain.batch import BatchStatus, Counts
from shared.domain.catalog import Usage
from shared.domain.document import DocumentStatus
from shared.domain.ids import BatchId, JobName
from shared.domain.summary import Counted, Summary, summarize
from shared.domain.totals import Totals
from tests.domain.test_batch import NOW, batch

HALF: Counted = {
    "x": {DocumentStatus.IN_BATCH: 1500, DocumentStatus.WAITING: 7},
    "y": {DocumentStatus.REPORTED: 2000, DocumentStatus.FAILED: 3},
}


def job(documents: Counted = HALF, *, processing: int = 500, cost: str = "12.5") -> Summary:
    """One batch collected, one looked at, one just sent."""
    totals = Totals(
        reported=2000,
        failed=3,
        usage=Usage(input_tokens=4_000_000, output_tokens=300_000),
        cost=Decimal(cost),
        cost_without_batches=Decimal(cost) * 2,
    )
    in_progress = BatchStatus.IN_PROGRESS
    return summarize(
        job=JobName("local"),
        documents=documents,
        batches=[
            batch(BatchStatus.COLLECTED, id=BatchId("a" * 12), group="y", totals=totals),
            batch(
                in_progress,
                id=BatchId("b" * 12),
                group="x",
                size=1000,
                counts=Counts(processing=processing, succeeded=1000 - processing),
            ),
            batch(in_progress, id=BatchId("c" * 12), group="x", size=500),
        ],
        now=NOW + timedelta(hours=1),
    )


def groups(count: int) -> Mapping[str, Mapping[DocumentStatus, int]]:
    """Groups `g0000` and so on, each with one document more than the one before."""
    return {f"g{n:04}": {DocumentStatus.REPORTED: n + 1} for n in range(count)}
