"""Doubt about whether the provider took a batch, which proof alone ends.

Proof that it did is a line of the batch's results, whose custom_id carries docmill's own id. Proof
that it didn't is a complete listing, asked for after a grace, in which no batch could be it.
"""

from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.app.pauses import pause_if_refused
from shared.app.settle import settle
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.document import Failure
from shared.domain.ids import BatchId, ProviderId, place_of
from shared.domain.outcome import MalformedLine, decode
from shared.domain.policy import LEAST_LOOKS
from shared.domain.polling import backoff, next_check
from shared.ports.batch_api import NotFound, ProcessingStatus, ProviderBatch, Refused, Unavailable
from shared.ports.store import StaleWrite

_STRANGER = BatchId("")
"""The owner of a batch that docmill didn't make."""

_LINES_ASKED = 20


async def resolve_doubts(deps: Deps, batches: list[Batch]) -> tuple[int, int, int]:
    """Adopt, give back (or fail), or go on doubting: how many of each."""
    adopted = given_back = undecided = 0
    if not batches:
        return 0, 0, 0
    try:
        listing = await _listed(deps, batches)
    except (Unavailable, Refused) as error:
        pause_if_refused(deps, error)
        for batch in batches:
            _unproven(deps, batch, error.message, backoff(batch.tries))
        return 0, 0, len(batches)
    for batch in batches:
        match await _resolve(deps, batch, listing):
            case BatchStatus.IN_PROGRESS:
                adopted += 1
            case BatchStatus.IN_DOUBT:
                undecided += 1
            case _:
                given_back += 1
    return adopted, given_back, undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The provider's batches that a batch in doubt could be. `asked_at` is before the first page.

    `owners` are those found out so far; None for one whose results can't be had.
    """

    asked_at: datetime
    found: list[ProviderBatch]
    owners: dict[ProviderId, BatchId | None] = field(default_factory=dict)


async def _listed(deps: Deps, batches: list[Batch]) -> _Listing:
    """One listing for all: as large as one of them, not older, known to no record."""
    asked_at = deps.clock()
    sizes = {batch.requests for batch in batches}
    since = min(_intent(batch) for batch in batches) - deps.policy.clock_skew
    async with aclosing(deps.api.created_since(since)) as listing:
        found = [each async for each in listing if each.counts.total in sizes]
    known = deps.store.known([each.id for each in found])
    return _Listing(asked_at=asked_at, found=[each for each in found if each.id not in known])


def _intent(batch: Batch) -> datetime:
    if batch.intent_at is None:
        raise AssertionError(f"batch {batch.id} is in doubt without an intent")
    return batch.intent_at


async def _resolve(deps: Deps, batch: Batch, listing: _Listing) -> BatchStatus:
    since = batch.doubt_since or listing.asked_at
    doubted_for = listing.asked_at - since
    running = unreadable = 0
    for candidate in listing.found:
        if (
            candidate.counts.total != batch.requests
            or candidate.created_at < _intent(batch) - deps.policy.clock_skew
        ):
            continue
        if candidate.processing_status is not ProcessingStatus.ENDED:
            running += 1
            continue
        try:
            owner = await _owner(deps, candidate, listing)
        except (Unavailable, Refused) as error:
            pause_if_refused(deps, error)
            return _unproven(deps, batch, error.message, backoff(batch.tries))
        if owner == batch.id:
            return _adopt(deps, batch, candidate)
        unreadable += owner is None
    lost_since = batch.not_found_since or listing.asked_at
    looks = batch.tries + 1 if batch.not_found_since else 1
    if unreadable and not running:
        if listing.asked_at - lost_since >= deps.policy.not_found_grace and looks >= LEAST_LOOKS:
            return _give_up(deps, batch, unreadable)
        batch = replace(batch, not_found_since=lost_since, tries=looks - 1)
    else:
        batch = replace(batch, not_found_since=None)
    if running or unreadable:
        note = (
            f"{running + unreadable} of the provider's batches may be it; "
            "the results of each, once it has ended, will tell"
        )
        return _unproven(deps, batch, note, next_check(doubted_for, deps.policy.poll_interval))
    if doubted_for < deps.policy.doubt_grace:
        return _unproven(deps, batch, batch.note, deps.policy.doubt_grace - doubted_for)
    return _release(deps, batch)


async def _owner(deps: Deps, candidate: ProviderBatch, listing: _Listing) -> BatchId | None:
    """Whose an ended batch is, by its first readable results; None where there are none."""
    if candidate.id not in listing.owners:
        listing.owners[candidate.id] = await _read_owner(deps, candidate)
    return listing.owners[candidate.id]


async def _read_owner(deps: Deps, candidate: ProviderBatch) -> BatchId | None:
    """The one of ours that most of its first lines name, as a single line may be nobody's.

    A stranger's when none of ours is named by so many lines, or by as many as it has requests; of
    fewer, ours may be among those that are missing.
    """
    named: Counter[BatchId] = Counter()
    seen: set[str] = set()
    try:
        async with aclosing(deps.api.results(candidate.id)) as stream:
            async for lines in stream:
                for line in lines:
                    with suppress(MalformedLine):
                        custom_id = decode(line).custom_id
                        seen.add(custom_id)
                        if found := place_of(custom_id):
                            named[found[1]] += 1
                if len(seen) >= _LINES_ASKED:
                    break
    except NotFound:
        return None
    except (Unavailable, Refused):
        if not named:  # cut before anything was proved
            raise
    if named:
        return max(named, key=named.__getitem__)
    told = len(seen) >= _LINES_ASKED or len(seen) == candidate.counts.total
    return _STRANGER if told else None


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
                not_found_since=None,
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


def _give_up(deps: Deps, batch: Batch, unreadable: int) -> BatchStatus:
    """What could prove it is gone, deleted or archived: the person decides about paying again."""
    why = (
        f"whether the provider took batch {batch.id} can't be told any more: the results of "
        f"{unreadable} batches that may be it are gone; look in the provider's console, and "
        "`docmill retry --all` submits it again"
    )
    failure = Failure(type="doubt_unresolved", message=why)
    try:
        batch = deps.store.swap_batch(
            after(
                batch,
                BatchEvent.UNPROVABLE,
                failure=failure,
                note=why,
                next_at=deps.clock() + deps.policy.lease,
            )
        )
    except StaleWrite:
        return batch.status
    deps.emit("doubt_given_up", batch=batch.id, message=why)
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
