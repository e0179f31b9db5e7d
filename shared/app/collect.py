"""Collect: an ended batch's results, as a stream, become reports, failures and further tries.

A report is written before its document is settled, and the same line gives the same bytes, so a
crash in between only writes them again. A batch is COLLECTED when every request of its list has
a line and the lines agree with the provider's counts.
"""

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from msgspec.structs import replace

from shared.app.deps import Deps, NoRecipe
from shared.app.groups import mark_stale, open_groups_of
from shared.app.settle import settle
from shared.app.submit import declare_pause, lift_pause
from shared.domain.batch import Batch, BatchEvent, BatchStatus, Counts, Member, after
from shared.domain.bitmap import Bitmap
from shared.domain.catalog import Usage
from shared.domain.document import (
    Document,
    DocumentStatus,
    Failure,
    failed,
    released,
    reported,
)
from shared.domain.ids import BatchId, place_of
from shared.domain.names import report_path
from shared.domain.outcome import (
    Fail,
    MalformedLine,
    Outcome,
    Report,
    ResultLine,
    Retry,
    decode,
    judge,
)
from shared.domain.pause import PauseReason
from shared.domain.policy import RESULTS_KEPT
from shared.domain.polling import backoff
from shared.domain.report import plain, render_report
from shared.domain.totals import Totals
from shared.ports.batch_api import NotFound, Refused, Unavailable
from shared.ports.blobs import BlobUnreadable
from shared.ports.store import StaleWrite

DEFAULT_MAX_ATTEMPTS = 3
_FLUSH_LINES = 250
_FLUSH_BYTES = 8 << 20
_TRIED_AGAIN = frozenset({"errored", "expired"})
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


@dataclass(slots=True, kw_only=True)
class _Pass:
    """One reading of a batch's results from the first line on.

    `seen` are the places a line was read for, `settled` those whose documents need no more.
    """

    batch: Batch
    members: list[Member]
    settled: Bitmap
    max_attempts: int
    seen: Bitmap = field(default_factory=Bitmap)
    kinds: Counter[str] = field(default_factory=Counter)
    strange: int = 0
    totals: Totals = field(default_factory=Totals)
    pending: list[tuple[int, ResultLine]] = field(default_factory=list)
    pending_bytes: int = 0
    hold: str | None = None


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
    try:
        batch = deps.store.swap_batch(
            after(batch, BatchEvent.TAKEN, next_at=now + deps.policy.lease)
        )
    except StaleWrite:
        return Collected.NOTHING
    mark_stale(deps.store, batch.job)
    reading = _Pass(
        batch=batch,
        members=deps.store.members(batch.id),
        settled=Bitmap(deps.store.checkpoint(batch.id)),
        max_attempts=_max_attempts(deps, batch),
    )
    try:
        finished = await _read(deps, reading, until)
    except (Unavailable, NotFound, Refused) as error:
        _hold(deps, reading)
        return _put_off(deps, batch, error)
    _hold(deps, reading)
    if not finished:
        deps.store.swap_batch(after(batch, BatchEvent.TAKEN, next_at=deps.clock()))
        return Collected.UNFINISHED
    return _finish(deps, reading)


def _max_attempts(deps: Deps, batch: Batch) -> int:
    if deps.policy.max_attempts is not None:
        return deps.policy.max_attempts
    try:
        return deps.recipe(batch.job).max_attempts
    except NoRecipe:
        return DEFAULT_MAX_ATTEMPTS


async def _read(deps: Deps, reading: _Pass, until: datetime | None) -> bool:
    """Read the stream to its end; False when time ran out before."""
    if reading.batch.provider_id is None:
        raise AssertionError(f"batch {reading.batch.id} ended without the provider's id")
    async with aclosing(deps.api.results(reading.batch.provider_id)) as stream:
        async for lines in stream:
            for line in lines:
                _take_line(reading, line)
                if len(reading.pending) >= _FLUSH_LINES or reading.pending_bytes >= _FLUSH_BYTES:
                    _flush(deps, reading)
            if until is not None and deps.clock() >= until:
                _flush(deps, reading)
                return False
    _flush(deps, reading)
    return True


def _take_line(reading: _Pass, data: bytes) -> None:
    if not data.strip():
        return
    try:
        line = decode(data)
    except MalformedLine:
        reading.strange += 1
        return
    place = _place(reading, line.custom_id)
    if place is None:
        reading.strange += 1
        return
    if place in reading.seen:
        return
    reading.seen.add(place)
    reading.kinds[line.result.type] += 1
    reading.pending.append((place, line))
    reading.pending_bytes += len(data)


def _place(reading: _Pass, custom_id: str) -> int | None:
    found = place_of(custom_id)
    if found is None or found[1] != reading.batch.id or found[0] >= len(reading.members):
        return None
    return found[0] if reading.members[found[0]].custom_id == custom_id else None


def _flush(deps: Deps, reading: _Pass) -> None:
    """Write the reports of the pending lines, then settle their documents, then say how far."""
    pending, reading.pending, reading.pending_bytes = reading.pending, [], 0
    asked = [
        reading.members[place].path
        for place, line in pending
        if place not in reading.settled or line.result.type in _TRIED_AGAIN
    ]
    known = deps.store.documents(reading.batch.job, asked) if asked else {}
    reports: dict[str, bytes] = {}
    judged: dict[str, Outcome] = {}
    for place, line in pending:
        member = reading.members[place]
        document = known.get(member.path)
        if place in reading.settled or document is None or document.batch != reading.batch.id:
            _count(deps, reading, _judge_again(reading, line, document))
            continue
        outcome = judge(line, attempts=document.attempts, max_attempts=reading.max_attempts)
        cost = _count(deps, reading, outcome)
        judged[member.path] = outcome
        if isinstance(outcome, Retry) and outcome.hold:
            reading.hold = outcome.hold
        if isinstance(outcome, Report):
            reports[member.path] = render_report(
                outcome,
                document=member.path,
                custom_id=member.custom_id,
                batch=reading.batch,
                cost=cost,
            )
    places = {reading.members[place].path: place for place, _ in pending}
    for path, message in _write(deps, reading.batch, reports).items():
        judged[path] = _unwritten(reading, known[path], places[path], judged[path], message)
    _settle_documents(deps, reading, judged, known)
    for place, _ in pending:
        reading.settled.add(place)
    if judged:
        deps.store.save_checkpoint(reading.batch.id, bytes(reading.settled))


def _write(deps: Deps, batch: Batch, reports: dict[str, bytes]) -> dict[str, str]:
    """Write the reports; the answer says why for each that can't be written where it belongs."""
    keys = {path: deps.output_key(batch.job, report_path(path)) for path in reports}
    try:
        deps.reports.write_many([(keys[path], content) for path, content in reports.items()])
    except BlobUnreadable:
        refused: dict[str, str] = {}
        for path, content in reports.items():
            try:
                deps.reports.write_many([(keys[path], content)])
            except BlobUnreadable as error:
                refused[path] = error.message
        return refused
    return {}


def _unwritten(
    reading: _Pass, document: Document, place: int, outcome: Outcome, message: str
) -> Fail:
    """The answer came, and was paid for, but its report can't lie where it belongs."""
    reading.totals += Totals(reported=-1, failed=1, truncated=-_truncated(outcome))
    failure = Failure(
        type="report_not_written",
        message=f"{message}; rename the document and run again",
        retryable=True,
        attempts=document.attempts + 1,
        custom_id=reading.members[place].custom_id,
    )
    return Fail(failure=failure)


def _truncated(outcome: Outcome) -> bool:
    return isinstance(outcome, Report) and outcome.truncated


def _judge_again(reading: _Pass, line: ResultLine, document: Document | None) -> Outcome:
    """What was made of a line that an earlier pass settled: its failure, if any, names the line."""
    failure = document.failure if document is not None else None
    ended_here = failure is not None and failure.custom_id == line.custom_id
    return judge(line, attempts=0, max_attempts=1 if ended_here else reading.max_attempts + 1)


def _count(deps: Deps, reading: _Pass, outcome: Outcome) -> Decimal | None:
    """Add a line to the totals of this pass; the answer is what the request cost."""
    model = deps.catalog.find(reading.batch.model)
    usage = Usage() if isinstance(outcome, Retry) else outcome.usage or Usage()
    geo = reading.batch.inference_geo
    without = deps.catalog.cost(model, usage, batch=False, inference_geo=geo)
    cost = None if without is None else without * deps.catalog.batch_discount
    reading.totals += Totals(
        reported=isinstance(outcome, Report),
        truncated=_truncated(outcome),
        failed=isinstance(outcome, Fail),
        retried=isinstance(outcome, Retry),
        usage=usage,
        cost=cost or Decimal(0),
        cost_without_batches=without or Decimal(0),
        unpriced=cost is None and usage != Usage(),
    )
    return cost


def _settle_documents(
    deps: Deps, reading: _Pass, judged: dict[str, Outcome], known: dict[str, Document]
) -> None:
    """Compare-and-set each document to its end, reading anew those that somebody else wrote."""
    todo = set(judged)
    while todo:
        settled = [
            _settled(deps, document, judged[path])
            for path, document in known.items()
            if path in todo and document.batch == reading.batch.id
        ]
        waiting = [d for d in settled if d.status is DocumentStatus.WAITING]
        open_groups_of(deps.store, waiting, now=deps.clock(), ready=True)
        todo = deps.store.swap_documents(settled)
        known = deps.store.documents(reading.batch.job, todo) if todo else {}


def _settled(deps: Deps, document: Document, outcome: Outcome) -> Document:
    now = deps.clock()
    match outcome:
        case Report():
            return reported(document, now=now)
        case Retry(attempts=attempts):
            return released(document, now=now, attempts=attempts)
        case Fail(failure=failure):
            deps.emit(
                "document_failed",
                document=document.path,
                type=failure.type,
                message=failure.message,
            )
            return failed(document, failure, now=now)


def _hold(deps: Deps, reading: _Pass) -> None:
    """Rows failed for want of credit: submitting them again waits, and says what for."""
    if reading.hold:
        error = Unavailable(reading.hold, reason=PauseReason.LOW_CREDIT, retry_after=_CREDIT_WAIT)
        declare_pause(deps, error)
    elif reading.totals.reported:
        pause = deps.store.pause()
        if pause is not None and pause.reason is PauseReason.LOW_CREDIT:
            lift_pause(deps)


def _put_off(deps: Deps, batch: Batch, error: Unavailable | NotFound | Refused) -> Collected:
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
    _read_again(deps, batch, error.message, backoff(tries - 1, asked=asked), tries=tries)
    return Collected.LATER


def _read_again(deps: Deps, batch: Batch, why: str, wait: timedelta, **counted: int) -> None:
    deps.store.swap_batch(
        after(batch, BatchEvent.TAKEN, note=why, next_at=deps.clock() + wait, **counted)
    )
    deps.emit("collecting_put_off", batch=batch.id, message=why)


def _finish(deps: Deps, reading: _Pass) -> Collected:
    """Close the batch if nothing is missing; otherwise read it anew, and in the end say so."""
    batch = reading.batch
    excluded = Bitmap(batch.excluded)
    missing = [
        place for place in range(batch.size) if place not in reading.seen and place not in excluded
    ]
    note = _disagreement(reading, batch.counts)
    reads = batch.short_reads + 1
    if (missing and reads < _PATIENCE) or (note and reads < _PATIENCE_WITH_COUNTS):
        why = note or f"{len(missing)} of {batch.requests} results are missing"
        wait = backoff(reads + _FIRST_WAIT if missing else reads)
        _read_again(deps, batch, why, wait, short_reads=reads)
        return Collected.LATER
    if missing:
        _fail_missing(deps, reading, missing)
    _give_back_excluded(deps, reading, excluded)
    totals = replace(reading.totals, failed=reading.totals.failed + len(missing))
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


def _give_back_excluded(deps: Deps, reading: _Pass, excluded: Bitmap) -> None:
    """A place that wasn't sent may still hold its document, if letting it go lost a race."""
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


def _disagreement(reading: _Pass, counts: Counts | None) -> str:
    """How the lines differ from the provider's counts; empty when they agree."""
    parts = []
    if counts is not None:
        for kind in ("succeeded", "errored", "canceled", "expired"):
            told, read = getattr(counts, kind), reading.kinds[kind]
            if told != read:
                parts.append(f"{told} {kind} by the provider's counts, {read} in the results")
    if reading.strange:
        parts.append(f"{reading.strange} lines that can't be matched")
    return "; ".join(parts)


def _fail_missing(deps: Deps, reading: _Pass, missing: list[int]) -> None:
    for start in range(0, len(missing), _FLUSH_LINES):
        _fail_slice(deps, reading, missing[start : start + _FLUSH_LINES])


def _fail_slice(deps: Deps, reading: _Pass, missing: list[int]) -> None:
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
    _settle_documents(deps, reading, judged, deps.store.documents(reading.batch.job, judged))
