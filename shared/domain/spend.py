"""What a job may still cost: `max_cost` is never exceeded, whatever the answers turn out to be."""

from collections.abc import Iterable
from decimal import Decimal

from shared.domain.batch import LIVE, Batch, BatchStatus

HELD = "held_by_max_cost"
"""The failure of documents that were not submitted because of what they might cost."""

_NEVER_SENT = frozenset({BatchStatus.RELEASING, BatchStatus.RELEASED})
_MAYBE_BILLED = frozenset({"batch_not_found", "results_gone", "doubt_unresolved"})


def committed(batches: Iterable[Batch]) -> Decimal:
    """US dollars that the batches have cost, or cost at most while that isn't known."""
    return sum((_committed(batch) for batch in batches), Decimal(0))


def under_way(batches: Iterable[Batch]) -> list[Batch]:
    """Those that will leave some of what is set aside for them."""
    return [batch for batch in batches if batch.status in LIVE]


def held_message(*, most: Decimal, max_cost: Decimal, taken: Decimal) -> str:
    """Why a document is held, and what to do."""
    left = max(max_cost - taken, Decimal(0))
    return (
        f"held: it may cost ${most:,.4f}, and of max_cost ${max_cost:,.2f} there is ${left:,.4f} "
        "left; raise max_cost, or lower max_tokens so that each may cost less"
    )


def _committed(batch: Batch) -> Decimal:
    if batch.status is BatchStatus.COLLECTED:
        return batch.totals.cost if batch.totals else Decimal(0)
    if batch.status in _NEVER_SENT:
        return Decimal(0)
    if batch.status in (BatchStatus.FAILING, BatchStatus.FAILED):
        lost = batch.failure is not None and batch.failure.type in _MAYBE_BILLED
        return batch.cost_at_most if lost else Decimal(0)
    return batch.cost_at_most
