"""How long batches take, as far as anybody knows before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.batch import Batch, BatchStatus

QUEUED_AT_ONCE = 200_000
"""Requests that an organization of the lowest tier may have queued (reference, rate limits)."""

LONG_ANSWER = 128_000
"""Tokens. A longer one may take more than an hour by itself (reference, of 300,000)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the batches that ended took at the provider, from the quickest to the slowest."""

    batches: int
    shortest: timedelta
    longest: timedelta


def pace(batches: Iterable[Batch]) -> Pace | None:
    """Of those whose results came; None before there are any."""
    times = [
        batch.ended_at - batch.created_at
        for batch in batches
        if batch.status is BatchStatus.COLLECTED and batch.ended_at and batch.created_at
    ]
    if not times:
        return None
    return Pace(batches=len(times), shortest=min(times), longest=max(times))
