"""Poll: look at the batches that are due, many at once, until the provider has ended them."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.document import Failure
from shared.domain.ids import BatchId
from shared.domain.policy import LEAST_LOOKS
from shared.domain.polling import backoff, next_check
from shared.ports.batch_api import ApiError, NotFound, ProcessingStatus, Refused, Unavailable
from shared.ports.store import StaleWrite

_AT_ONCE = 16
_PER_ROUND = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What one round of looking found: `ended` are ready to be collected."""

    checked: int = 0
    ended: tuple[BatchId, ...] = ()
    unavailable: Unavailable | None = None


async def poll(deps: Deps, *, limit: int = _PER_ROUND) -> Polled:
    """Look at up to `limit` batches whose time has come."""
    due = deps.store.due(BatchStatus.IN_PROGRESS, now=deps.clock(), limit=limit)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(batch: Batch) -> tuple[Batch | None, Unavailable | None]:
        async with gate:
            return await _look(deps, batch)

    looks = await asyncio.gather(*(look(batch) for batch in due))
    ended = [b.id for b, _ in looks if b is not None and b.status is BatchStatus.ENDED]
    unavailable = next((error for _, error in looks if error is not None), None)
    return Polled(checked=len(due), ended=tuple(ended), unavailable=unavailable)


async def _look(deps: Deps, batch: Batch) -> tuple[Batch | None, Unavailable | None]:
    if batch.provider_id is None:
        raise AssertionError(f"batch {batch.id} is in progress without the provider's id")
    try:
        found = await deps.api.retrieve(batch.provider_id)
    except Unavailable as error:
        tries = batch.tries + 1
        wait = backoff(tries, asked=error.retry_after)
        deps.emit("check_failed", batch=batch.id, message=error.message)
        return _checked(deps, batch, tries=tries, next_at=deps.clock() + wait), error
    except (NotFound, Refused) as error:
        return _not_found(deps, batch, error), None
    now = deps.clock()
    if found.processing_status is ProcessingStatus.ENDED:
        try:
            after_end = deps.store.swap_batch(
                after(
                    batch,
                    BatchEvent.ENDED,
                    counts=found.counts,
                    ended_at=found.ended_at or now,
                    not_found_since=None,
                    tries=0,
                    next_at=now,
                )
            )
        except StaleWrite:
            return None, None
        deps.emit("batch_ended", batch=batch.id, provider_id=batch.provider_id)
        return after_end, None
    if batch.cancel_wanted and found.processing_status is ProcessingStatus.IN_PROGRESS:
        with suppress(ApiError):  # asked again at the next look
            await deps.api.cancel(batch.provider_id)
    wait = next_check(now - (batch.created_at or batch.planned_at), deps.policy.poll_interval)
    checked = _checked(
        deps, batch, counts=found.counts, not_found_since=None, tries=0, next_at=now + wait
    )
    deps.emit(
        "batch_checked",
        batch=batch.id,
        status=found.processing_status,
        processing=found.counts.processing,
        total=found.counts.total,
    )
    return checked, None


def _checked(deps: Deps, batch: Batch, **changes: object) -> Batch | None:
    try:
        return deps.store.swap_batch(after(batch, BatchEvent.CHECKED, **changes))
    except StaleWrite:
        return None


def _not_found(deps: Deps, batch: Batch, error: NotFound | Refused) -> Batch | None:
    """A 404 is not a loss: it has been seen to heal. Only one that outlives the batch is final."""
    now = deps.clock()
    since = batch.not_found_since or now
    tries = batch.tries + 1
    if now - since < deps.policy.not_found_grace or tries < LEAST_LOOKS:
        return _checked(
            deps,
            batch,
            not_found_since=since,
            tries=tries,
            note=error.message,
            next_at=now + backoff(tries),
        )
    message = (
        f"the provider has not known batch {batch.provider_id} for "
        f"{deps.policy.not_found_grace}: {error.message}"
    )
    failure = Failure(type="batch_not_found", message=message, retryable=True)
    mark_stale(deps.store, batch.job)
    try:
        deps.emit("batch_vanished", batch=batch.id, message=message)
        return deps.store.swap_batch(
            after(batch, BatchEvent.VANISHED, failure=failure, note=message, next_at=now)
        )
    except StaleWrite:
        return None
