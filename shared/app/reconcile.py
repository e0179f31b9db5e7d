"""Reconcile: what stands still is brought to an end, and doubt is ended by proof only.

Proof that a batch exists is a line of its results, whose custom_id carries docmill's own id.
Proof that it doesn't is a complete listing, after a grace, in which no batch could be it.
"""

from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.app.settle import settle
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.ids import BatchId, place_of
from shared.domain.outcome import MalformedLine, decode
from shared.domain.policy import EVER
from shared.domain.polling import backoff, next_check
from shared.ports.batch_api import NotFound, ProcessingStatus, ProviderBatch, Refused, Unavailable
from shared.ports.store import StaleWrite

_PER_ROUND = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was brought on; `to_collect` are ended batches that nobody is collecting."""

    adopted: int = 0
    released: int = 0
    undecided: int = 0
    to_collect: tuple[BatchId, ...] = ()


async def reconcile(deps: Deps, *, take_over: bool = False) -> Reconciled:
    """Look after every batch whose time has come without anybody bringing it on.

    With `take_over`, leases are not respected: for the start of a home with a single process,
    where whoever held them is dead; and doubts are looked into at once, whatever was planned.
    """
    now = deps.clock()
    due_by = now + (EVER if take_over else timedelta(0))
    for batch in deps.store.due(BatchStatus.SUBMITTING, now=due_by, limit=_PER_ROUND):
        _doubt(deps, batch)
    for status in (BatchStatus.RELEASING, BatchStatus.FAILING):
        for batch in deps.store.due(status, now=due_by, limit=_PER_ROUND):
            with suppress(StaleWrite):  # somebody else settles it
                lease = deps.clock() + deps.policy.lease
                settle(deps, deps.store.swap_batch(after(batch, BatchEvent.TAKEN, next_at=lease)))
    adopted = given_back = undecided = 0
    for batch in deps.store.due(BatchStatus.IN_DOUBT, now=due_by, limit=_PER_ROUND):
        match await _resolve(deps, batch):
            case BatchStatus.IN_PROGRESS:
                adopted += 1
            case BatchStatus.RELEASED | BatchStatus.RELEASING:
                given_back += 1
            case _:
                undecided += 1
    ended = deps.store.due(BatchStatus.ENDED, now=due_by, limit=_PER_ROUND)
    return Reconciled(
        adopted=adopted,
        released=given_back,
        undecided=undecided,
        to_collect=tuple(batch.id for batch in ended),
    )


def _doubt(deps: Deps, batch: Batch) -> None:
    """Whoever called `create` is gone, and with it the answer."""
    now = deps.clock()
    note = "the process that submitted it ended before the answer was saved"
    try:
        deps.store.swap_batch(
            after(
                batch,
                BatchEvent.UNANSWERED,
                doubt_since=now,
                note=note,
                next_at=now + deps.policy.doubt_grace,
            )
        )
    except StaleWrite:
        return
    mark_stale(deps.store, batch.job)
    deps.emit("batch_in_doubt", batch=batch.id, requests=batch.requests, message=note)


async def _resolve(deps: Deps, batch: Batch) -> BatchStatus:
    """Adopt the provider's batch that is this one, release it when none can be, or wait."""
    undecided = 0
    try:
        for candidate in await _candidates(deps, batch):
            owner = await _owner(deps, candidate)
            if owner == batch.id:
                return _adopt(deps, batch, candidate)
            undecided += owner is None
    except (Unavailable, Refused) as error:
        return _unproven(deps, batch, error.message, backoff(batch.tries))
    now = deps.clock()
    since = batch.doubt_since or now
    if undecided:
        note = (
            f"{undecided} of the provider's batches may be it; "
            "the results of each, once it has ended, will tell"
        )
        return _unproven(deps, batch, note, next_check(now - since, deps.policy.poll_interval))
    if now - since < deps.policy.doubt_grace:
        return _unproven(deps, batch, batch.note, since + deps.policy.doubt_grace - now)
    return _release(deps, batch)


async def _candidates(deps: Deps, batch: Batch) -> list[ProviderBatch]:
    """The provider's batches that could be this one: as large, not older, known to no record."""
    if batch.intent_at is None:
        raise AssertionError(f"batch {batch.id} is in doubt without an intent")
    since = batch.intent_at - deps.policy.clock_skew
    async with aclosing(deps.api.created_since(since)) as listing:
        alike = [found async for found in listing if found.counts.total == batch.requests]
    known = deps.store.known([found.id for found in alike])
    return [found for found in alike if found.id not in known]


async def _owner(deps: Deps, candidate: ProviderBatch) -> BatchId | str | None:
    """Whose batch it is by its first readable result; None while that can't be told."""
    if candidate.processing_status is not ProcessingStatus.ENDED:
        return None
    try:
        async with aclosing(deps.api.results(candidate.id)) as stream:
            async for lines in stream:
                for line in lines:
                    try:
                        found = place_of(decode(line).custom_id)
                    except MalformedLine:
                        continue
                    return found[1] if found else "somebody else's"
    except NotFound:
        return None
    return None


def _adopt(deps: Deps, batch: Batch, candidate: ProviderBatch) -> BatchStatus:
    now = deps.clock()
    try:
        batch = deps.store.swap_batch(
            after(
                batch,
                BatchEvent.ADOPTED,
                provider_id=candidate.id,
                created_at=candidate.created_at,
                expires_at=candidate.expires_at,
                tries=0,
                note="adopted: the answer to create was lost",
                next_at=now,
            )
        )
    except StaleWrite:
        return batch.status
    mark_stale(deps.store, batch.job)
    deps.emit("batch_adopted", batch=batch.id, provider_id=candidate.id)
    return batch.status


def _release(deps: Deps, batch: Batch) -> BatchStatus:
    note = "never created: no batch of the provider's can be it"
    try:
        batch = deps.store.swap_batch(
            after(batch, BatchEvent.DISPROVED, note=note, next_at=deps.clock() + deps.policy.lease)
        )
    except StaleWrite:
        return batch.status
    deps.emit("batch_released", batch=batch.id, message=note)
    settle(deps, batch)
    return batch.status


def _unproven(deps: Deps, batch: Batch, note: str, wait: timedelta) -> BatchStatus:
    try:
        deps.store.swap_batch(
            after(
                batch,
                BatchEvent.UNPROVEN,
                note=note,
                tries=batch.tries + 1,
                next_at=deps.clock() + wait,
            )
        )
    except StaleWrite:
        return batch.status
    deps.emit("doubt_remained", batch=batch.id, message=note)
    return batch.status
