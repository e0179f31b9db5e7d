"""Results: the lines of one batch become reports, failures and further tries, a flush at a time.

A report is written before its document is settled, and the same line gives the same bytes, so a
crash in between only writes them again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from shared.app.continuing import go_on, keep_whole, kept_whole, was_continued
from shared.app.deps import Deps
from shared.app.groups import open_groups_of
from shared.app.judged import Judged, more_of
from shared.app.merged import answered, as_answer, header_of, merged_from
from shared.app.parts import answer_key, bring_on, drop_merged
from shared.app.report_places import keep, remove_former
from shared.app.row_parts import RowSpool
from shared.app.said_too_long import marked_long, split_instead
from shared.app.twins import twins_of, with_twins
from shared.domain.answer import Answers
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.batch import Batch, Counts, Member
from shared.domain.bitmap import Bitmap
from shared.domain.catalog import Model, Usage
from shared.domain.document import (
    REPORT_NOT_WRITTEN,
    Document,
    DocumentStatus,
    Failure,
    continued,
    failed,
    released,
    reported,
)
from shared.domain.ids import BatchId, CustomId, place_of
from shared.domain.names import report_path
from shared.domain.outcome import (
    Fail,
    MalformedLine,
    Outcome,
    Report,
    ResultLine,
    Retry,
    StopReason,
    decode,
    formed,
    judge,
)
from shared.domain.parts import is_part
from shared.domain.record import Record
from shared.domain.report import render_report
from shared.domain.row import Row
from shared.domain.totals import Totals
from shared.domain.unfinished import Unfinished
from shared.ports.blobs import BlobUnreadable

_FLUSH_LINES = 250
_FLUSH_BYTES = 2 << 20
_TRIED_AGAIN = frozenset({"errored", "expired"})
_STEPS = {
    Report: "documents_reported",
    Retry: "documents_retried",
    Unfinished: "documents_continued",
}


class Checkpoint(Record, frozen=True, kw_only=True):
    """How far an earlier reading came: bitmaps of the places whose documents need no more, and of
    those among them whose report could not be written, and is to be continued."""

    settled: bytes = b""
    unwritten: bytes = b""
    continued: bytes = b""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Checkpoint).decode


@dataclass(slots=True, kw_only=True)
class Reading:
    """One reading of a batch's results from the first line on; `flush` when lines end or pause.

    `seen` are the places a line was read for. `totals`, `kinds` (lines by type of result) and
    `strange` (lines that can't be matched) are of this reading alone. `hold` is what a person has
    to mend before rows that failed for want of credit are tried again. `rows` takes the fields of
    all answers, of those settled before too: it is whole when the reading is. `continuations` is
    how often a report may be continued. Past `until` no more twins are taken: the next reading
    does.
    """

    deps: Deps
    batch: Batch
    members: list[Member]
    max_attempts: int
    rows: RowSpool
    continuations: int = 0
    until: datetime | None = None
    seen: Bitmap = field(default_factory=Bitmap)
    kinds: Counter[str] = field(default_factory=Counter)
    strange: int = 0
    totals: Totals = field(default_factory=Totals)
    hold: str | None = None
    _model: Model | None = field(init=False)
    _form: AnswerForm = field(init=False)
    _answers: Answers | None = field(init=False)
    _settled: Bitmap = field(init=False)
    _unwritten: Bitmap = field(init=False)
    _continued: Bitmap = field(init=False)
    _twins: Mapping[int, Sequence[int]] = field(init=False)
    _pending: list[tuple[int, ResultLine]] = field(default_factory=list)
    _pending_bytes: int = 0

    def __post_init__(self) -> None:
        data = self.deps.store.checkpoint(self.batch.id)
        before = _decode(data) if data else Checkpoint()
        self._settled = Bitmap(before.settled)
        self._unwritten = Bitmap(before.unwritten)
        self._continued = Bitmap(before.continued)
        self._twins = twins_of(self.batch, self.members)
        self._model = self.deps.catalog.find(self.batch.model)
        self._form = self.batch.answer_form
        self._answers = Answers(self._form) if self._form.fields else None

    def take(self, data: bytes) -> None:
        """Take one line; what it leads to is done by the flush that comes of itself now and then.

        A second line for a place is passed over: the first one counts.
        """
        try:
            line = decode(data)
        except MalformedLine:
            self.strange += 1
            return
        place = self._place(line.custom_id)
        if place is None:
            self.strange += 1
            return
        if place in self.seen:
            return
        self.seen.add(place)
        self.kinds[line.result.type] += 1
        for each in with_twins([place], self._twins):
            if each != place and self._is_late():
                break
            self._pending.append((each, line))
            self._pending_bytes += len(data)
            if len(self._pending) >= _FLUSH_LINES or self._pending_bytes >= _FLUSH_BYTES:
                self.flush()

    def _is_late(self) -> bool:
        return self.until is not None and self.deps.clock() >= self.until

    def flush(self) -> None:
        """Write the reports of the lines taken, settle their documents, then say how far."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        judged = self._judge(pending)
        go_on(
            self.deps,
            self.batch,
            self.members,
            judged.values(),
            most=self.continuations,
            is_whole=self._is_whole,
        )
        for each in judged.values():
            self._form_answer(each)
        for path, message in self._write(judged).items():
            judged[path] = self._not_written(judged[path], message)
        for each in judged.values():
            self._count(each)
            self._keep_row(each)
        due = {path: each for path, each in judged.items() if each.document is not None}
        settle_documents(
            self.deps,
            self.batch,
            {path: each.unfinished or each.outcome for path, each in due.items()},
            {path: each.document for path, each in due.items() if each.document is not None},
        )
        job = self.batch.job
        bring_on(self.deps, job, judged)
        drop_merged(self.deps, job, [p for p, each in judged.items() if each.is_merged])
        for each in judged.values():
            self._settled.add(each.place)
            if each.is_continued:
                self._continued.add(each.place)
        if due:
            reached = Checkpoint(
                settled=bytes(self._settled),
                unwritten=bytes(self._unwritten),
                continued=bytes(self._continued),
            )
            self.deps.store.save_checkpoint(self.batch.id, _encode(reached))

    def missing(self) -> list[int]:
        """The places that were sent and have no line."""
        excluded = Bitmap(self.batch.excluded)
        return [
            place
            for place in range(self.batch.size)
            if place not in self.seen and place not in excluded
        ]

    def disagreement(self, counts: Counts | None) -> str:
        """How the lines differ from the provider's counts; empty when they agree."""
        parts = []
        if counts is not None:
            for kind in ("succeeded", "errored", "canceled", "expired"):
                told, read = getattr(counts, kind), self.kinds[kind]
                if told != read:
                    parts.append(f"{told} {kind} by the provider's counts, {read} in the results")
        if self.strange:
            parts.append(f"{self.strange} lines that can't be matched")
        return "; ".join(parts)

    def _place(self, custom_id: str) -> int | None:
        found = place_of(custom_id)
        if found is None or found[1] != self.batch.id or found[0] >= len(self.members):
            return None
        return found[0] if self.members[found[0]].custom_id == custom_id else None

    def _judge(self, pending: list[tuple[int, ResultLine]]) -> dict[str, Judged]:
        asked = [
            self.members[place].path
            for place, line in pending
            if place not in self._settled or self._may_be_tried_again(line)
        ]
        known = self.deps.store.documents(self.batch.job, asked) if asked else {}
        judged: dict[str, Judged] = {}
        for place, line in pending:
            path = self.members[place].path
            document = known.get(path)
            is_continued = False
            if place in self._settled or document is None or document.batch != self.batch.id:
                raw = judge(line, attempts=0, max_attempts=1)
                is_continued = self._was_continued(place, raw, document)
                outcome = raw if is_continued else self._judge_again(place, line, document)
                document = None
            else:
                outcome = judge(line, attempts=document.attempts, max_attempts=self.max_attempts)
                outcome = split_instead(outcome, document)
                if isinstance(outcome, Retry) and outcome.hold:
                    self.hold = outcome.hold
            judged[path] = self._priced(place, line, document, outcome)
            judged[path].is_continued = is_continued
            judged[path].is_merged = path in known and known[path].parts is not None
            if document is None and self._answers is not None and not is_continued:
                self._join_again(judged[path], known.get(path))
        return judged

    def _may_be_tried_again(self, line: ResultLine) -> bool:
        """Whether only its document can tell what was made of a line that is settled."""
        if line.result.type in _TRIED_AGAIN or self._answers is None:
            return line.result.type in _TRIED_AGAIN
        return not isinstance(self._judged_alone(line), Report)

    def _judged_alone(self, line: ResultLine, *, tries: int = 1) -> Outcome:
        return judge(line, attempts=0, max_attempts=tries, answers=self._answers)

    def _is_whole(self, report: Report) -> bool:
        """Whether an answer that stopped at the limit of its length has all its fields."""
        return self._answers is not None and isinstance(
            formed(report, self._answers, custom_id=CustomId(""), attempts=0, max_attempts=1),
            Report,
        )

    def _form_answer(self, judged: Judged) -> None:
        """Read the fields of an answer that is all there, in one part or in several."""
        document, outcome, answers = judged.document, judged.outcome, self._answers
        if (
            document is None
            or judged.unfinished
            or answers is None
            or not isinstance(outcome, Report)
        ):
            return
        custom_id = CustomId(judged.line.custom_id)
        made = formed(
            outcome,
            answers,
            custom_id=custom_id,
            attempts=document.attempts,
            max_attempts=self.max_attempts,
        )
        if document.unfinished is not None and isinstance(made, Report):
            # As it came, before its fields are taken out of its text.
            keep_whole(self.deps, self.batch, judged, self.members[judged.place].custom_id)
        judged.outcome = made

    def _judge_again(self, place: int, line: ResultLine, document: Document | None) -> Outcome:
        """What was made of a line that was settled before: its failure, if any, names the line."""
        failure = document.failure if document is not None else None
        names = (line.custom_id, self.members[place].custom_id)
        ended_here = failure is not None and failure.custom_id in names
        tries = 1 if ended_here else self.max_attempts + 1
        outcome = self._judged_alone(line, tries=tries)
        if document is not None and document.parts is not None and not ended_here:
            outcome = split_instead(outcome, document)
        if not isinstance(outcome, Report):
            return outcome
        return self._written_before(place, outcome, failure if ended_here else None)

    def _written_before(self, place: int, report: Report, failure: Failure | None) -> Outcome:
        """The same, unless it could not be written. `failure` is the document's, of this line."""
        if place in self._unwritten or (failure and failure.type == REPORT_NOT_WRITTEN):
            self._unwritten.add(place)
            return _unwritten(report, failure or Failure(type=REPORT_NOT_WRITTEN, message=""))
        return report

    def _join_again(self, judged: Judged, document: Document | None) -> None:
        """Have the whole of an answer with fields whose rest came in a line settled before."""
        if self._answers is None or not isinstance(judged.outcome, Fail | Retry):
            return
        if judged.line.result.type != "succeeded":
            return
        custom_id = self.members[judged.place].custom_id
        kept = kept_whole(self.deps, self.batch, custom_id)
        if kept is None:
            return
        failure = document.failure if document is not None else None
        ended_here = failure is not None and failure.custom_id == custom_id
        report = Report(
            text=kept.text,
            model=kept.model,
            stop_reason=kept.stop_reason,
            truncated=kept.stop_reason == StopReason.MAX_TOKENS,
            usage=kept.usage,
        )
        outcome = formed(report, self._answers, custom_id=custom_id, attempts=0, max_attempts=1)
        if isinstance(outcome, Report):
            failed_here = failure if ended_here else None
            judged.outcome = self._written_before(judged.place, outcome, failed_here)
            judged.whole_cost = kept.cost

    def _was_continued(self, place: int, outcome: Outcome, document: Document | None) -> bool:
        if place in self._settled:
            return place in self._continued
        custom_id = self.members[place].custom_id
        return was_continued(self.deps, document, outcome, custom_id)

    def _priced(
        self, place: int, line: ResultLine, document: Document | None, outcome: Outcome
    ) -> Judged:
        catalog = self.deps.catalog
        is_twin = self.members[place].twin is not None
        if is_twin:
            outcome = replace(outcome, usage=Usage(), uncounted=False)
        usage = _usage(outcome)
        without = catalog.cost(
            self._model,
            usage,
            batch=False,
            inference_geo=self.batch.inference_geo,
        )
        if is_twin:
            without = Decimal(0)
        cost = None if without is None else without * catalog.batch_discount
        return Judged(
            place=place,
            line=line,
            document=document,
            outcome=outcome,
            usage=usage,
            is_twin=is_twin,
            cost=cost,
            without_batches=without,
            whole_cost=cost,
        )

    def _write(self, judged: dict[str, Judged]) -> dict[str, str]:
        """Write the reports; the answer says why for each that can't lie where it belongs."""
        suffix = self._form.suffix
        reports = {
            path: self._rendered(each, each.document, each.outcome)
            for path, each in judged.items()
            if isinstance(each.outcome, Report)
            and each.document is not None
            and (each.unfinished is None or each.unfinished.suffix is not None)
        }
        key = {path: self._key(path) for path in reports}
        refused: dict[str, str] = {}
        try:
            self.deps.reports.write_many((key[path], data) for path, data in reports.items())
        except BlobUnreadable:
            for path, data in reports.items():
                try:
                    self.deps.reports.write_many([(key[path], data)])
                except BlobUnreadable as error:
                    refused[path] = self._kept(judged[path], data, error.message)
        for path in reports.keys() - refused.keys():
            if not is_part(path):
                remove_former(self.deps, judged[path].document, suffix)
        return refused

    def _rendered(self, judged: Judged, document: Document, report: Report) -> bytes:
        header = header_of(self.deps, self.batch, document, report, cost=judged.whole_cost)
        part = document.part is not None
        more = {} if part else more_of(judged, self.members, self._form)
        return render_report(
            as_answer(report) if part else header.report,
            output=Output.MARKDOWN if part else self._form.output,
            document=document.part.of if document.part else document.path,
            custom_id=CustomId(judged.line.custom_id),
            batch=self.batch,
            correlation_id=document.correlation_id,
            cost=header.cost,
            more={**more, **header.more},
            losses=document.losses,
        )

    def _key(self, path: str) -> str:
        if is_part(path):
            return answer_key(self.deps, self.batch.job, path)
        return self.deps.report_place(self.batch.job, report_path(path, self._form.suffix))

    def _kept(self, judged: Judged, report: bytes, message: str) -> str:
        """Keep a report aside that can't lie where it belongs, and say what to do."""
        if is_part(self.members[judged.place].path):
            return f"{message}; its answer is lost, and is paid for again if it is tried again"
        custom_id = self.members[judged.place].custom_id
        where = keep(self.deps, self.batch.job, custom_id, report, suffix=self._form.suffix)
        if where is None:
            return f"{message}; rename the document and run again"
        return (
            f"{message}; the report is kept in {where}, and `docmill retry` puts it in its place "
            "once nothing is in the way"
        )

    def _not_written(self, judged: Judged, message: str) -> Judged:
        """The answer came, and was paid for, but its report can't lie where it belongs."""
        if judged.document is None or not isinstance(judged.outcome, Report):
            raise AssertionError("only reports of documents to be settled are written")
        self._unwritten.add(judged.place)
        judged.unfinished, judged.is_continued = None, False
        failure = Failure(
            type="part_not_written" if judged.document.part else REPORT_NOT_WRITTEN,
            message=message,
            retryable=True,
            attempts=judged.document.attempts + 1,
            custom_id=self.members[judged.place].custom_id,
            suffix=self._form.suffix,
            rows_in=self.batch.id if self._form.fields else None,
            merged=merged_from(self.deps, self.batch, judged.document),
        )
        judged.outcome = _unwritten(judged.outcome, failure)
        return judged

    def _keep_row(self, judged: Judged) -> None:
        outcome = judged.outcome
        report = outcome.unwritten if isinstance(outcome, Fail) else outcome
        document = self.members[judged.place].path
        if isinstance(report, Report) and report.fields is not None and not is_part(document):
            row = Row.of(report, document=document, batch=self.batch, cost=judged.whole_cost)
            self.rows.add(row)

    def _count(self, judged: Judged) -> None:
        outcome, usage = judged.outcome, judged.usage
        part = is_part(self.members[judged.place].path)
        ended = isinstance(outcome, Report) and not judged.is_continued and not part
        self.totals += Totals(
            reported=ended,
            truncated=ended and isinstance(outcome, Report) and outcome.truncated,
            failed=isinstance(outcome, Fail) and not part,
            parts=part and not isinstance(outcome, Retry),
            retried=isinstance(outcome, Retry),
            continued=judged.is_continued,
            twins=judged.is_twin,
            usage=usage,
            cost=judged.cost or Decimal(0),
            cost_without_batches=judged.without_batches or Decimal(0),
            saved_by_caching=self.deps.catalog.saved_by_caching(
                self._model,
                usage,
                inference_geo=self.batch.inference_geo,
            ),
            unpriced=(judged.cost is None and usage != Usage()) or outcome.uncounted,
        )


def settle_documents(
    deps: Deps,
    batch: Batch,
    outcomes: Mapping[str, Outcome | Unfinished],
    known: dict[str, Document],
) -> None:
    """Compare-and-set each document that the batch holds to its end, as `known` shows it.

    What somebody else wrote meanwhile is read anew; what the batch doesn't hold is left alone.
    """
    todo = set(outcomes)
    form = batch.answer_form
    ending = _Ending(suffix=form.suffix, rows_in=batch.id if form.fields else None)
    while todo:
        held = [d for path, d in known.items() if path in todo and d.batch == batch.id]
        settled = [_settled(deps, batch, each, ending, outcomes[each.path]) for each in held]
        waiting = [d for d in settled if d.status is DocumentStatus.WAITING]
        open_groups_of(deps.store, waiting, now=deps.clock(), ready=True)
        todo = deps.store.swap_documents(settled)
        for kind, step in _STEPS.items():
            ended = (
                document
                for document in held
                if document.path not in todo
                and document.part is None
                and isinstance(outcomes[document.path], kind)
            )
            deps.follow(step, ended, batch=batch.id)
        known = deps.store.documents(batch.job, todo) if todo else {}


class _Ending(NamedTuple):
    """What `reported` is told of a batch's reports."""

    suffix: str
    rows_in: BatchId | None


def _settled(
    deps: Deps, batch: Batch, document: Document, ending: _Ending, outcome: Outcome | Unfinished
) -> Document:
    now = deps.clock()
    match outcome:
        case Unfinished():
            return continued(document, outcome, now=now)
        case Report():
            merged = merged_from(deps, batch, document)
            after = reported(document, now=now, merged=merged, **ending._asdict())
            return answered(after, outcome)
        case Retry(attempts=attempts):
            return released(marked_long(document, outcome, batch), now=now, attempts=attempts)
        case Fail(failure=failure):
            if document.part is None:
                deps.emit(
                    "document_failed" if document.unfinished is None else "continuation_failed",
                    document=document.path,
                    correlation_id=document.correlation_id,
                    type=failure.type,
                    message=failure.message,
                )
            return failed(document, failure, now=now)


def _unwritten(report: Report, failure: Failure) -> Fail:
    return Fail(
        failure=failure,
        model=report.model,
        usage=report.usage,
        uncounted=report.uncounted,
        unwritten=report,
    )


def _usage(outcome: Outcome) -> Usage:
    return outcome.usage or Usage()
