"""What a job may still cost: `max_cost` is never exceeded, whatever the answers turn out to be."""

from collections.abc import Iterable
from decimal import Decimal

from shared.domain.batch import Batch, BatchStatus
from shared.domain.totals import Totals

HELD = "held_by_max_cost"
"""The failure of documents that were not submitted because of what they might cost."""

_NEVER_SENT = frozenset({BatchStatus.RELEASING, BatchStatus.RELEASED})
_LOST = frozenset({BatchStatus.FAILING, BatchStatus.FAILED})
_MAYBE_BILLED = frozenset({"batch_not_found", "results_gone", "doubt_unresolved"})


def committed(batches: Iterable[Batch]) -> Decimal:
    """US dollars that the batches have cost, or cost at most while that isn't known."""
    return sum((_committed(batch) for batch in batches), Decimal(0))


def known_totals(batch: Batch) -> Totals:
    """What it came to, as far as that is known: where its results are lost, each may be billed."""
    totals = batch.totals or Totals()
    if batch.status in _LOST and _may_be_billed(batch):
        return totals + Totals(unpriced=max(batch.requests - totals.answers, 0))
    return totals


def held_message(*, most: Decimal, max_cost: Decimal, taken: Decimal) -> str:
    """Why a document is held, and what to do."""
    left = max(max_cost - taken, Decimal(0))
    return (
        f"held: it may cost ${most:,.4f}, and of max_cost ${max_cost:,.2f} there is ${left:,.4f} "
        "left; raise max_cost, or lower max_tokens so that each may cost less"
    )


def _committed(batch: Batch) -> Decimal:
    if batch.status is BatchStatus.COLLECTED:
        return _spent(batch)
    if batch.status in _NEVER_SENT:
        return Decimal(0)
    if batch.status in _LOST:
        return batch.cost_at_most if _may_be_billed(batch) else Decimal(0)
    return batch.cost_at_most


def _may_be_billed(batch: Batch) -> bool:
    return batch.failure is not None and batch.failure.type in _MAYBE_BILLED


def _spent(batch: Batch) -> Decimal:
    """Its cost, and for each answer whose usage nobody knows what the costliest may have been."""
    totals = batch.totals or Totals()
    unknown = max(batch.cost_at_most - totals.cost, Decimal(0))
    return totals.cost + min(unknown, totals.unpriced * batch.one_at_most)
