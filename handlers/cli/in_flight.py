"""How far the provider is with the batches it has, by its own counts when last looked at."""

from dataclasses import dataclass

from shared.domain.batch import BatchStatus
from shared.domain.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """Batches in progress, all of their requests, and those that the provider hasn't finished."""

    batches: int = 0
    processing: int = 0
    total: int = 0


def in_flight(summary: Summary) -> InFlight:
    """Add up the batches in progress; one that was never looked at has everything before it."""
    batches = processing = total = 0
    for batch in summary.batches:
        if batch.status is not BatchStatus.IN_PROGRESS:
            continue
        batches += 1
        total += batch.requests
        processing += batch.counts.processing if batch.counts else batch.requests
    return InFlight(batches=batches, processing=processing, total=total)
