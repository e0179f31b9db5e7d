"""How old the oldest of everything is: what alarms look at."""

from collections.abc import Iterable
from datetime import datetime

from shared.app.digest_notes import is_note
from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.policy import EVER
from shared.ports.store import Store

_LOOKED_AT = 10_000
"""Batches of one status. Those that are looked at soonest come first, and so are seen."""


def gauges(store: Store, *, now: datetime) -> dict[str, int]:
    """Seconds since the oldest group began to wait, since the oldest batch was created that is
    under way or in doubt, and since the oldest whose results aren't read yet; 0 without any.
    """
    live = {
        status: store.due(status, now=now + EVER, limit=_LOOKED_AT)
        for status in LIVE
        if status is not BatchStatus.PLANNED
    }
    under_way = [
        batch
        for status, found in live.items()
        if status is not BatchStatus.ENDED
        for batch in found
    ]
    waiting = (group.since for group in store.groups() if not is_note(group))
    return {
        "oldest_waiting_s": _age(waiting, now),
        "oldest_batch_s": _age(map(_begun, under_way), now),
        "oldest_results_s": _age(map(_begun, live[BatchStatus.ENDED]), now),
        "live_batches": sum(map(len, live.values())),
    }


def _begun(batch: Batch) -> datetime:
    return batch.created_at or batch.intent_at or batch.planned_at


def _age(times: Iterable[datetime], now: datetime) -> int:
    return max((int((now - time).total_seconds()) for time in times), default=0)
