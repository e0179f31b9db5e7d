"""Submit: ripe groups become planned batches, and planned batches are sent.

The order is what keeps every document from being lost or paid for twice: the list is saved, each
document is claimed, the intent is saved, and only then `create` is called, once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from shared.app.claims import claim
from shared.app.copying import copy_answers
from shared.app.deps import Deps, NoRecipe
from shared.app.digest_notes import as_seen_by, is_note
from shared.app.groups import change_job, mark_stale, set_problem
from shared.app.pauses import current_pause, declare_pause, lift_pause
from shared.app.plan import AWAITED, Full, Plan, plan_batch, spool_again
from shared.app.room import Room, wait_awhile
from shared.app.settle import settle
from shared.app.spool import Spool, SpooledBody
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.document import Failure
from shared.domain.group import Group, Load, is_due, rested
from shared.domain.job import Job
from shared.domain.pause import Pause, PauseReason
from shared.domain.policy import EVER
from shared.domain.polling import next_check
from shared.domain.recipe import Recipe
from shared.ports.batch_api import ApiError, InDoubt, ProviderBatch, Refused, Unavailable
from shared.ports.blobs import BlobStoreUnavailable
from shared.ports.store import StaleWrite

_PLANNED_AT_ONCE = 100
_AT_ONCE = 4
"""Batches on their way at a time. Each has a spool of up to 256 MB on the disk."""

_TOO_LARGE = "request_too_large"
_FINAL = frozenset({"invalid_request_error", "not_found_error", _TOO_LARGE})
"""Refusals that the same request meets again."""


_TROUBLES = 3
"""So many groups that can't be read are the store's trouble, not theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What one round of submitting came to; `pause` when the provider said not now."""

    batches: int = 0
    requests: int = 0
    in_doubt: int = 0
    refused: int = 0
    pause: Pause | None = None

    def __add__(self, other: "Submitted") -> "Submitted":
        return Submitted(
            batches=self.batches + other.batches,
            requests=self.requests + other.requests,
            in_doubt=self.in_doubt + other.in_doubt,
            refused=self.refused + other.refused,
        )


_Work = Callable[[], Coroutine[None, None, Submitted]]


async def submit(
    deps: Deps, *, until: datetime | None = None, take_over: bool = False
) -> Submitted:
    """Send what is planned and what is ripe; no new batch is begun once the clock passes `until`.

    Some groups are sent side by side, as most of the time is the wait for an answer. Stops at the
    first pause: what is left stays planned or waiting. With `take_over`, plans that another process
    may hold are sent too; only for a home with a single process.
    Raises BlobStoreUnavailable when documents can't be read now, once other groups are sent too.
    """
    total = Submitted()
    troubles: list[BlobStoreUnavailable] = []
    running: set[asyncio.Task[Submitted]] = set()
    try:
        for work in _works(deps, until, take_over=take_over):
            # After a pause one batch is tried alone: it may be refused as well.
            at_once = 1 if deps.store.pause() else _AT_ONCE
            while len(running) >= at_once:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                total = sum(await asyncio.gather(*done), total)  # looks at every failure
            if _stop(deps, until) or len(troubles) >= _TROUBLES:
                break
            running.add(asyncio.create_task(_attempt(work, troubles)))
    finally:
        # Even when one failed: a create that is given up on the way would be a doubt.
        rest = await asyncio.gather(*running, return_exceptions=True)
    for each in rest:
        if isinstance(each, BaseException):
            raise each
        total += each
    if troubles:
        raise troubles[0]
    return replace(total, pause=current_pause(deps))


async def _attempt(work: _Work, troubles: list[BlobStoreUnavailable]) -> Submitted:
    try:
        return await work()
    except BlobStoreUnavailable as error:
        troubles.append(error)
        return Submitted()


def _works(deps: Deps, until: datetime | None, *, take_over: bool) -> Iterator[_Work]:
    """What there is to do: plans first, so that their documents are claimed before groups are
    looked through.

    Batches are planned and claimed one after the other, in this order, as plans of a job share its
    documents and what it may cost; they are sent side by side.
    """
    room = Room(deps)
    planning = asyncio.Lock()
    due_by = deps.clock() + (EVER if take_over else timedelta(0))
    for batch in deps.store.due(BatchStatus.PLANNED, now=due_by, limit=_PLANNED_AT_ONCE):
        yield partial(_resume, deps, batch, room, planning)
    for group in list(deps.store.groups()):
        if is_note(group):
            continue
        yield partial(_submit_group, deps, group, room, planning, until)


def _stop(deps: Deps, until: datetime | None) -> bool:
    late = until is not None and deps.clock() >= until
    return late or current_pause(deps) is not None


async def _submit_group(
    deps: Deps, group: Group, room: Room, planning: asyncio.Lock, until: datetime | None
) -> Submitted:
    done = Submitted()
    deps = as_seen_by(deps, group.job)
    if group.next_at is not None and group.next_at > deps.clock():
        return done
    try:
        recipe = deps.recipe(group.job)
    except NoRecipe as missing:
        set_problem(deps.store, group.job, missing.problem)
        deps.emit("job_held", job=group.job, message=missing.problem.message)
        return done
    set_problem(deps.store, group.job, None)
    if not _ripe(deps, group, recipe):
        return done
    with suppress(StaleWrite):  # somebody else submits this one
        while not _stop(deps, until):
            with Spool(deps.spool_dir) as spool:
                async with planning:
                    if _stop(deps, until):
                        break
                    planned = await _planned(deps, group, recipe, spool, room)
                    if planned is None:
                        break
                    intended = await _intended(deps, *planned)
                if intended is not None:
                    done += await _create(deps, *intended)
    return done


async def _planned(
    deps: Deps, group: Group, recipe: Recipe, spool: Spool, room: Room
) -> tuple[Batch, Plan] | None:
    """The group's next batch; None when there is none to be sent now."""
    left = room.left(group.job, recipe)
    planned = await plan_batch(deps, group, recipe, spool, left=left, known=room.known)
    if planned is None:
        _close_if_empty(deps, group)
        return None
    if planned is AWAITED:
        wait_awhile(deps, group)
        return None
    if isinstance(planned, Full):
        room.wait_or_hold(group, recipe)
        return None
    batch, _ = planned
    if not room.takes(batch, recipe):  # somebody else planned at the same time
        room.give_back(batch)
        abandon(deps, batch, "max_cost is taken by another batch")
        return None
    return planned


def _ripe(deps: Deps, group: Group, recipe: Recipe) -> bool:
    if is_due(group, max_wait=recipe.max_wait, now=deps.clock()):
        return True
    most = deps.policy.most_requests(recipe.max_tokens)
    full = Load(documents=most, bytes=deps.policy.max_batch_bytes)
    load = deps.store.load(group.job, group.name, enough=full)
    return load.fills_a_batch(requests=full.documents, size=full.bytes)


def _close_if_empty(deps: Deps, group: Group) -> None:
    """Close the group unless something came since, or may be about to come or still be hidden.

    A group that can't close yet begins to wait anew, so what comes next isn't submitted at once.
    """
    now = deps.clock()
    if next(deps.store.waiting(group.job, group.name), None) is not None:
        return
    with suppress(StaleWrite):
        if now - group.touched < deps.policy.group_kept:
            deps.store.swap_group(rested(group, now=now, lag=deps.policy.index_lag))
        else:
            deps.store.close_group(group)


async def _resume(deps: Deps, batch: Batch, room: Room, planning: asyncio.Lock) -> Submitted:
    """Send a batch whose plan was saved earlier: it was put off, or its process died."""
    deps = as_seen_by(deps, batch.job)
    try:
        recipe: Recipe | None = deps.recipe(batch.job)
    except NoRecipe:
        recipe = None
    with suppress(StaleWrite), Spool(deps.spool_dir) as spool:  # somebody else brings this one on
        async with planning:
            if current_pause(deps) is not None:
                return Submitted()
            lease = deps.clock() + deps.policy.lease
            batch = deps.store.swap_batch(after(batch, BatchEvent.TAKEN, next_at=lease))
            if recipe is None or recipe.fingerprint != batch.fingerprint:
                abandon(deps, batch, "the recipe changed before it was sent")
                return Submitted()
            if batch.cost_at_most and room.is_over(batch.job, recipe):
                room.give_back(batch)
                abandon(deps, batch, "max_cost was lowered before it was sent")
                return Submitted()
            plan = await spool_again(deps, batch, recipe, spool)
            intended = await _intended(deps, batch, plan)
        if intended is not None:
            return await _create(deps, *intended)
    return Submitted()


def abandon(deps: Deps, batch: Batch, note: str) -> None:
    """Give up a plan that was not sent: its documents wait again."""
    settle(deps, deps.store.swap_batch(after(batch, BatchEvent.ABANDONED, note=note)))


async def _intended(deps: Deps, batch: Batch, plan: Plan) -> tuple[Batch, SpooledBody] | None:
    """Claim the batch's documents and save the intent to send it; None when it isn't sent now."""
    try:
        await deps.api.ready()
    except Unavailable as error:
        put_off(deps, batch, error, BatchEvent.TAKEN)
        return None
    claimed = await claim(deps, batch, plan)
    excluded, twins = claimed.excluded, claimed.twins
    copy_answers(deps, batch, plan)
    if len(excluded) == batch.size:
        abandon(deps, batch, "nothing of it was left to send")
        return None
    body = plan.spool.body(excluded)
    now = deps.clock()
    batch = deps.store.swap_batch(
        after(
            batch,
            BatchEvent.INTENDED,
            excluded=bytes(excluded) if len(excluded) else b"",
            twins=bytes(twins) if len(twins) else b"",
            body_size=body.length,
            intent_at=now,
            next_at=now + deps.policy.lease,
        )
    )
    deps.emit(
        "batch_submitting",
        batch=batch.id,
        group=batch.group,
        requests=batch.requests,
        bytes=batch.body_size,
    )
    return batch, body


async def _create(deps: Deps, batch: Batch, body: SpooledBody) -> Submitted:
    try:
        created = await deps.api.create(body, betas=batch.betas)
    except Refused as error:
        _refused(deps, batch, error)
        return Submitted(refused=1)
    except Unavailable as error:
        put_off(deps, batch, error, BatchEvent.DEFERRED)
        return Submitted()
    except InDoubt as error:
        _doubt(deps, batch, error.message)
        return Submitted(in_doubt=1)
    await _accepted(deps, batch, created)
    return Submitted(batches=1, requests=batch.requests)


async def _accepted(deps: Deps, batch: Batch, created: ProviderBatch) -> None:
    changes = {
        "provider_id": created.id,
        "created_at": created.created_at,
        "expires_at": created.expires_at,
        "tries": 0,
        "next_at": deps.clock() + next_check(timedelta(0), deps.policy.poll_interval),
    }
    try:
        deps.store.swap_batch(after(batch, BatchEvent.ACCEPTED, **changes))
    except StaleWrite:
        # The lease ran out while the answer was on its way and reconcile took the batch up.
        current = deps.store.batch(batch.id)
        if current is not None and current.status is BatchStatus.IN_DOUBT:
            deps.store.swap_batch(after(current, BatchEvent.ACCEPTED, **changes))
        elif current is None or current.provider_id != created.id:
            await _cancel_orphan(deps, batch, created)
            return
    _probe_taken(deps)
    mark_stale(deps.store, batch.job)
    deps.emit(
        "batch_submitted",
        batch=batch.id,
        provider_id=created.id,
        group=batch.group,
        requests=batch.requests,
        expires_at=created.expires_at.isoformat(),
    )


async def _cancel_orphan(deps: Deps, batch: Batch, created: ProviderBatch) -> None:
    """Its documents were given back meanwhile: what the provider took must not be paid for."""
    try:
        await deps.api.cancel(created.id)
    except ApiError as error:
        deps.emit("orphan_left", batch=batch.id, provider_id=created.id, message=error.message)
        return
    deps.emit("orphan_canceled", batch=batch.id, provider_id=created.id)


def _probe_taken(deps: Deps) -> None:
    """A batch was accepted: go on, unless only its rows will show whether there is credit."""
    pause = deps.store.pause()
    if pause is not None and pause.reason is PauseReason.LOW_CREDIT:
        declare_pause(deps, Unavailable(pause.message, reason=pause.reason))
        return
    lift_pause(deps)


def _refused(deps: Deps, batch: Batch, error: Refused) -> None:
    blamed = None if error.request is None else batch.place_of_request(error.request)
    if error.type == _TOO_LARGE and blamed is None and batch.requests > 1:
        _outsized(deps, batch, error)
        return
    message = error.message
    if error.type == _TOO_LARGE:
        message = f"its request alone is too large, split the document: {message}"
    failure = Failure(type=error.type, message=message, retryable=error.type not in _FINAL)
    batch = deps.store.swap_batch(
        after(
            batch,
            BatchEvent.REFUSED if blamed is None else BatchEvent.BLAMED,
            failure=failure,
            blamed=blamed,
            note=error.message,
        )
    )
    deps.emit("batch_refused", batch=batch.id, type=error.type, message=error.message)
    settle(deps, batch)


def _outsized(deps: Deps, batch: Batch, error: Refused) -> None:
    """Give back a batch that is larger than what stands before the provider takes.

    The limit is found by halving, and saved first: after a crash in between nothing larger is sent.
    """
    most = batch.body_size // 2

    def lowered(job: Job) -> Job:
        return msgspec.structs.replace(job, most_bytes=min(job.most_bytes or most, most))

    change_job(deps.store, batch.job, lowered)
    message = f"{error.message}; from now on a batch has at most {most:,} bytes"
    batch = deps.store.swap_batch(after(batch, BatchEvent.OUTSIZED, note=message))
    deps.emit("batch_refused", batch=batch.id, type=error.type, message=message)
    settle(deps, batch)


def put_off(deps: Deps, batch: Batch, error: Unavailable, event: BatchEvent) -> None:
    """Nothing was created: the plan stays, and all submitting pauses."""
    pause = declare_pause(deps, error)
    deps.store.swap_batch(after(batch, event, next_at=pause.until, note=error.message))


def _doubt(deps: Deps, batch: Batch, message: str) -> None:
    now = deps.clock()
    deps.store.swap_batch(
        after(
            batch,
            BatchEvent.UNANSWERED,
            doubt_since=now,
            next_at=now + deps.policy.doubt_grace,
            note=message,
        )
    )
    mark_stale(deps.store, batch.job)
    deps.emit("batch_in_doubt", batch=batch.id, requests=batch.requests, message=message)
