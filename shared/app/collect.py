"""Collect: an ended batch's results are read, as a stream, until the batch can be closed.

A batch is COLLECTED when every request of its list has a line and the lines agree with the
provider's counts. What the lines lead to is `shared.app.results`.
"""

from contextlib import aclosing
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from shared.app.continuing import most_continuations
from shared.app.deps import Deps, NoRecipe
from shared.app.groups import mark_stale, open_groups_of
from shared.app.parts import bring_on
from shared.app.pauses import declare_pause, lift_pause, pause_if_refused
from shared.app.results import Reading, settle_documents
from shared.app.row_parts import RowSpool, write_part
from shared.app.settle import settle
from shared.app.slices import slices
from shared.app.twins import twins_of, with_twins
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.bitmap import Bitmap
from shared.domain.document import Failure, released
from shared.domain.ids import BatchId
from shared.domain.outcome import Fail, Outcome
from shared.domain.parts import is_part
from shared.domain.pause import PauseReason
from shared.domain.policy import RESULTS_KEPT
from shared.domain.polling import backoff
from shared.domain.report import plain
from shared.domain.totals import Totals
from shared.ports.batch_api import NotFound, Refused, Unavailable
from shared.ports.store import StaleWrite

DEFAULT_MAX_ATTEMPTS = 3
_PATIENCE = 12
"""How often a stream that ended well is read anew, over two hours, before lines that it lacks
count as lost. Asking again costs nothing; giving up means paying again."""

_PATIENCE_WITH_COUNTS = 3
"""The same where every request has its line and only the counts disagree."""

_FIRST_WAIT = 5
_CREDIT_WAIT = timedelta(minutes=1)


class Collected(StrEnum):
    """How far collecting came."""

    DONE = "done"
    UNFINISHED = "unfinished"
    LATER = "later"
    NOTHING = "nothing"


async def collect(
    deps: Deps, batch_id: BatchId, *, until: datetime | None = None, take_over: bool = False
) -> Collected:
    """Collect one ended batch; safe to repeat, and to run beside itself.

    Stops with UNFINISHED, everything so far saved, once the clock passes `until`. LATER means
    that the results can't be had now, and reconcile will bring the batch back. With `take_over`
    a lease that somebody may hold isn't respected; only for a home with a single process.
    """
    batch = deps.store.batch(batch_id)
    if batch is None or batch.status is not BatchStatus.ENDED:
        return Collected.NOTHING
    now = deps.clock()
    if batch.next_at > now and not take_over:
        return Collected.NOTHING
    # Somebody who runs again and again must not use up the patience of hours in seconds.
    due_at = batch.next_at if batch.short_reads else now
    try:
        batch = deps.store.swap_batch(
            after(batch, BatchEvent.TAKEN, next_at=now + deps.policy.lease)
        )
    except StaleWrite:
        return Collected.NOTHING
    mark_stale(deps.store, batch.job)
    with RowSpool(deps.spool_dir) as rows:
        reading = Reading(
            deps=deps,
            batch=batch,
            members=deps.store.members(batch.id),
            max_attempts=_max_attempts(deps, batch),
            continuations=most_continuations(deps, batch),
            until=until,
            rows=rows,
        )
        return await _collect(deps, reading, until=until, due_at=due_at)


async def _collect(
    deps: Deps, reading: Reading, *, until: datetime | None, due_at: datetime
) -> Collected:
    batch = reading.batch
    try:
        finished = await _read(deps, reading, until)
    except (Unavailable, NotFound, Refused) as error:
        reading.flush()
        _hold(deps, reading)
        return _put_off(deps, replace(batch, totals=_so_far(reading)), error)
    _hold(deps, reading)
    if not finished:
        deps.store.swap_batch(
            after(batch, BatchEvent.TAKEN, next_at=deps.clock(), totals=_so_far(reading))
        )
        return Collected.UNFINISHED
    return _finish(deps, reading, due_at=due_at)


def _so_far(reading: Reading) -> Totals:
    """What the batch came to as far as it was read: a reading that was cut may have got less far
    than the one before."""
    before = reading.batch.totals or Totals()
    return max(before, reading.totals, key=lambda totals: totals.outcomes)


def _max_attempts(deps: Deps, batch: Batch) -> int:
    if deps.policy.max_attempts is not None:
        return deps.policy.max_attempts
    try:
        return deps.recipe(batch.job).max_attempts
    except NoRecipe:
        return DEFAULT_MAX_ATTEMPTS


async def _read(deps: Deps, reading: Reading, until: datetime | None) -> bool:
    """Read the stream to its end; False when time ran out before."""
    if reading.batch.provider_id is None:
        raise AssertionError(f"batch {reading.batch.id} ended without the provider's id")
    async with aclosing(deps.api.results(reading.batch.provider_id)) as stream:
        async for lines in stream:
            for line in lines:
                reading.take(line)
            if until is not None and deps.clock() >= until:
                reading.flush()
                return False
    reading.flush()
    return True


def _hold(deps: Deps, reading: Reading) -> None:
    """Rows failed for want of credit: submitting them again waits, and says what for."""
    if reading.hold:
        error = Unavailable(reading.hold, reason=PauseReason.LOW_CREDIT, retry_after=_CREDIT_WAIT)
        declare_pause(deps, error)
    elif reading.totals.reported:
        pause = deps.store.pause()
        if pause is not None and pause.reason is PauseReason.LOW_CREDIT:
            lift_pause(deps)


def _put_off(deps: Deps, batch: Batch, error: Unavailable | NotFound | Refused) -> Collected:
    pause_if_refused(deps, error)
    now = deps.clock()
    tries = batch.tries + 1
    created = batch.created_at or batch.planned_at
    if isinstance(error, NotFound | Refused) and now - created > RESULTS_KEPT:
        why = f"the results of batch {batch.provider_id} are no longer kept: {error.message}"
        failure = Failure(type="results_gone", message=why, retryable=True)
        gone = after(batch, BatchEvent.VANISHED, failure=failure, note=why, next_at=now)
        settle(deps, deps.store.swap_batch(gone))
        return Collected.DONE
    asked = error.retry_after if isinstance(error, Unavailable) else None
    _wait(deps, batch, error.message, backoff(tries - 1, asked=asked), tries=tries)
    return Collected.LATER


def _read_again(deps: Deps, reading: Reading, why: str, wait: timedelta, **counted: int) -> None:
    batch = replace(reading.batch, totals=_so_far(reading))
    _wait(deps, batch, why, wait, **counted)


def _wait(deps: Deps, batch: Batch, why: str, wait: timedelta, **counted: int) -> None:
    deps.store.swap_batch(
        after(batch, BatchEvent.TAKEN, note=why, next_at=deps.clock() + wait, **counted)
    )
    deps.emit("collecting_put_off", batch=batch.id, message=why)


def _finish(deps: Deps, reading: Reading, *, due_at: datetime) -> Collected:
    """Close the batch if nothing is missing; otherwise read it anew, and in the end say so.

    A reading before the batch was due counts only if nothing was missing.
    """
    batch = reading.batch
    missing = reading.missing()
    note = reading.disagreement(batch.counts)
    early = due_at - deps.clock()
    if (missing or note) and early > timedelta(0):
        _read_again(deps, reading, batch.note, early)
        return Collected.LATER
    reads = batch.short_reads + 1
    if (missing and reads < _PATIENCE) or (note and reads < _PATIENCE_WITH_COUNTS):
        why = note or f"{len(missing)} of {batch.requests} results are missing"
        wait = backoff(reads + _FIRST_WAIT if missing else reads)
        _read_again(deps, reading, why, wait, short_reads=reads)
        return Collected.LATER
    if missing:
        _fail_missing(deps, reading, missing)
    _give_back_excluded(deps, reading)
    write_part(deps, batch, reading.rows)
    twins = len(with_twins(missing, twins_of(reading.batch, reading.members))) - len(missing)
    parts = sum(is_part(reading.members[place].path) for place in missing)
    totals = reading.totals + Totals(
        failed=len(missing) + twins - parts, twins=twins, parts=parts, unpriced=len(missing)
    )
    now = deps.clock()
    batch = deps.store.swap_batch(
        after(batch, BatchEvent.COLLECTED, totals=totals, note=note, collected_at=now)
    )
    mark_stale(deps.store, batch.job)
    deps.emit(
        "batch_collected",
        batch=batch.id,
        group=batch.group,
        reported=totals.reported,
        failed=totals.failed,
        retried=totals.retried,
        cost_usd=str(plain(totals.cost)),
    )
    return Collected.DONE


def _give_back_excluded(deps: Deps, reading: Reading) -> None:
    """A place that wasn't sent may still hold its document, if letting it go lost a race."""
    excluded = Bitmap(reading.batch.excluded)
    held = {m.path for place, m in enumerate(reading.members) if place in excluded}
    while held:
        known = deps.store.documents(reading.batch.job, held)
        freed = [
            released(document, now=deps.clock())
            for document in known.values()
            if document.batch == reading.batch.id
        ]
        open_groups_of(deps.store, freed, now=deps.clock(), ready=True)
        held = deps.store.swap_documents(freed)
        ours = (document for document in freed if document.path not in held)
        deps.follow("documents_released", ours, batch=reading.batch.id)


def _fail_missing(deps: Deps, reading: Reading, missing: list[int]) -> None:
    for part in slices(with_twins(missing, twins_of(reading.batch, reading.members))):
        _fail_slice(deps, reading, part)


def _fail_slice(deps: Deps, reading: Reading, missing: list[int]) -> None:
    judged: dict[str, Outcome] = {}
    for place in missing:
        member = reading.members[place]
        judged[member.path] = Fail(
            failure=Failure(
                type="result_missing",
                message=f"the results of batch {reading.batch.provider_id} were read {_PATIENCE} "
                "times and have no readable line for it",
                retryable=True,
                attempts=1,
                custom_id=member.custom_id,
            )
        )
    held = deps.store.documents(reading.batch.job, judged)
    settle_documents(deps, reading.batch, judged, held)
    bring_on(deps, reading.batch.job, judged)
