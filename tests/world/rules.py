"""What must be true after every single step. Each rule says what it found, or is silent.

The provider's side is judged by the ledger alone, docmill's by what it wrote.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from shared.adapters.simulator.rows import Ending
from shared.domain.batch import TERMINAL, Batch, BatchStatus
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import BatchId, JobName, place_of
from shared.domain.parts import answer_name
from shared.domain.spend import committed
from tests.world.ledger import Accepted, Ledger
from tests.world.mirror import Mirror
from tests.world.reports import custom_id_of

_UNDER_WAY = (DocumentStatus.WAITING, DocumentStatus.IN_BATCH)
_UNANSWERED = frozenset({BatchStatus.SUBMITTING, BatchStatus.IN_DOUBT})
_HOLDING = _UNANSWERED | {BatchStatus.IN_PROGRESS}
_INPUT_PRICE = Decimal("2.5e-6")
"""US dollars per token that the recipes' model takes in a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule that doesn't hold, and the facts."""

    rule: str
    facts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report that is there."""

    by: Accepted
    data: bytes


@dataclass(slots=True, kw_only=True)
class Rules:
    """`off` are rules that aren't looked at, so that a test can show what the others see.

    `etags` says which version of which document people put under which etag, `latest` which etag
    came last.
    """

    mirror: Mirror
    ledger: Ledger
    clock: Callable[[], datetime]
    off: frozenset[str] = frozenset()
    broken: Broken | None = None
    reports: dict[str, Written] = field(default_factory=dict)
    etags: dict[tuple[str, str], int] = field(default_factory=dict)
    limits: dict[str, list[Decimal | None]] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    answers: dict[str, str] = field(default_factory=dict)

    def blame(self, rule: str, facts: str) -> None:
        """The first broken rule is the one that counts."""
        if self.broken is None and rule not in self.off:
            self.broken = Broken(rule=rule, facts=facts)

    def state(self) -> None:
        """After a write: every document has its owner, every batch under way its documents."""
        mirror = self.mirror
        for document in mirror.documents.values():
            self._owner(document)
        for batch in mirror.batches.values():
            if batch.status not in _HOLDING:
                continue
            twins = [twin for twin, _ in mirror.twins(batch)]
            for member in [*mirror.sent(batch), *twins]:
                held = mirror.documents.get((batch.job, member.path))
                if held is None or held.batch != batch.id:
                    where = "nowhere" if held is None else f"{held.status} in {held.batch}"
                    self.blame(
                        "no document in two live batches",
                        f"{batch.id} is {batch.status} with {member.path}, which is {where}",
                    )

    def _owner(self, document: Document) -> None:
        rule = "no document without an owner"
        name = f"{document.job}/{document.path}"
        match document.status:
            case DocumentStatus.WAITING:
                if (document.job, document.group) not in self.mirror.groups:
                    self.blame(rule, f"{name} waits in group {document.group!r}, which is closed")
            case DocumentStatus.IN_BATCH:
                batch = self.mirror.batches.get(document.batch or BatchId(""))
                if batch is None or batch.status in TERMINAL:
                    status = "unknown" if batch is None else batch.status
                    self.blame(rule, f"{name} is in batch {document.batch}, which is {status}")
                elif all(m.path != document.path for m in self.mirror.members[batch.id]):
                    self.blame(rule, f"{name} is in batch {batch.id}, whose list doesn't have it")
            case DocumentStatus.IN_PARTS:
                self._in_parts(document)
            case DocumentStatus.FAILED if document.failure is None:
                self.blame("every failure has a cause", f"{name} failed without one")
        if (document.batch is not None) is not (document.status is DocumentStatus.IN_BATCH):
            self.blame(rule, f"{name} is {document.status} with batch {document.batch}")

    def _in_parts(self, document: Document) -> None:
        """Something brings it on: a part that waits or is in a batch, or a batch that had one of
        its parts and isn't closed yet."""
        parts = document.parts
        name = f"{document.job}/{document.path}"
        if parts is None or not parts.counts:
            self.blame("no document without an owner", f"{name} is in no parts")
            return
        paths = set(parts.paths(document.path, len(parts.counts) - 1))
        rows = [self.mirror.documents.get((document.job, path)) for path in paths]
        if any(row is not None and row.status in _UNDER_WAY for row in rows):
            return
        for batch in self.mirror.batches.values():
            if batch.status not in TERMINAL and any(
                member.path in paths for member in self.mirror.members[batch.id]
            ):
                return
        shown = [None if row is None else row.status for row in rows]
        self.blame("no document without an owner", f"{name} waits for parts that are {shown}")

    def answered(self, key: str, data: bytes) -> None:
        """The answer about a part was written."""
        self.answers[key] = custom_id_of(data)

    def settled(self, before: Document, after: Document) -> None:
        """A document was written: what is said to be reported has its report."""
        if after.reported_digest == before.reported_digest or before.batch is None:
            return
        name = f"{before.job}/{before.path}"
        if before.part is not None:
            custom_id = self.answers.get(f"{before.job}/{answer_name(before.path)}", "")
            answer = self.ledger.by_custom_id.get(custom_id)
            if answer is None or answer.ours != before.batch:
                facts = f"{name!r} is answered from {before.batch}, and there is {custom_id!r}"
                self.blame("reported means that the report is there", facts)
            return
        report = self.reports.get(name)
        by = {before.batch, *self._may_be_of(before)}
        if report is None or report.by.ours not in by:
            shown = "no report" if report is None else f"that of {report.by.name}"
            self.blame(
                "reported means that the report is there",
                f"{name} is reported from {before.batch}, and there is {shown}",
            )

    def _may_be_of(self, held: Document) -> set[BatchId]:
        """Batches before the one that holds it, of which its report may be as well."""
        members = self.mirror.members[held.batch] if held.batch else ()
        names = [m.answered_by for m in members if m.path == held.path]
        names.append(held.unfinished.custom_id if held.unfinished else None)
        return {found[1] for name in names if name and (found := place_of(name))}

    def accepted(self, taken: list[Accepted]) -> None:
        """The provider took a batch: it was meant, and nothing in it is paid for again."""
        now = self.clock()
        ours = self.mirror.batches.get(taken[0].ours)
        sent = {m.custom_id for m in self.mirror.sent(ours)} if ours else set()
        if ours is None or ours.status not in _UNANSWERED:
            status = "unknown" if ours is None else ours.status
            self.blame(
                "intent before effect",
                f"the provider took {taken[0].batch.id} for {taken[0].ours}, which is {status}",
            )
        elif sent != {each.custom_id for each in taken}:
            self.blame("intent before effect", f"{ours.id} was sent with another list than saved")
        else:
            self._costs(ours)
        for each in taken:
            self._sent(each)
            report = self.reports.get(each.key)
            if report and report.by.version == each.version and not report.by.asked_again:
                self._goes_on(each, report)
            for other in self.ledger.by_key[each.key]:
                if other.number < each.number:
                    self._again(other, each, now)

    def _again(self, other: Accepted, each: Accepted, now: datetime) -> None:
        """The second of two requests about a document is another one. Requests about parts, and
        merges, are sent for each document."""
        if other.batch is each.batch:
            if other.asks == each.asks and not each.is_staged:
                facts = f"{other.name}; {each.name}"
                self.blame("the same request is paid for once", facts)
            return
        if each.key in self.ledger.shared.values():
            return
        if other.said != each.said or other.piece != each.piece:
            return
        if other.is_live(now) and (not each.piece or other.version == each.version):
            self.blame("no document in two live batches", f"{other.name}; {each.name}")
        if other.version == each.version and self._is_paid_for_good(other, now):
            self.blame("nothing is paid for twice", f"{other.name}; {each.name}")

    def _goes_on(self, each: Accepted, report: Written) -> None:
        """What has its report is only sent to go on where that was cut off."""
        text = report.data.partition(b"\n---\n\n")[2]
        said = each.said if each.said.endswith("\n") else f"{each.said}\n"
        if report.by.ending is not Ending.MAX_TOKENS or said.encode() != text:
            facts = f"{each.name} has its report, from {report.by.name}"
            self.blame("nothing is paid for twice", facts)

    def _costs(self, ours: Batch) -> None:
        """A job never costs more than any of its recipes ever allowed; a plan costs nothing yet."""
        limits = self.limits.get(ours.job, [None])
        taken = committed(
            each
            for each in self.mirror.batches.values()
            if each.job == ours.job and each.status is not BatchStatus.PLANNED
        )
        most = max((each for each in limits if each is not None), default=Decimal(0))
        if None not in limits and taken > most:
            self.blame("max_cost is kept", f"{ours.job} may cost {taken}, and {most} was allowed")

    def _sent(self, each: Accepted) -> None:
        """What is sent of a document is the version that was seen."""
        job, _, path = each.key.partition("/")
        if each.piece:
            ours = self.mirror.batches.get(each.ours)
            sent = self.mirror.sent(ours) if ours is not None else []
            path = next((m.path for m in sent if m.custom_id == each.custom_id), path)
        document = self.mirror.documents.get((JobName(job), path))
        if document is None:
            return
        seen = self.etags.get((each.key, document.content.etag), each.version)
        if self.latest.get(each.key, document.content.etag) != document.content.etag:
            each.forgiven = True
        if seen != each.version:
            facts = f"{each.name} is version {each.version}, and version {seen} was seen"
            self.blame("what is sent is what was seen", facts)

    def _is_paid_for_good(self, other: Accepted, now: datetime) -> bool:
        """Results that nobody fetched in their 29 days are lost, and have to be paid for again; so
        has an answer that doesn't fit the recipe's fields."""
        report = self.reports.get(other.key)
        is_lost = other.batch.archived(now) and (report is None or report.by is not other)
        return other.is_paid and not other.forgiven and not is_lost and not other.row.invalid

    def not_written(self, key: str, data: bytes) -> None:
        """A report couldn't be written where it belongs: it doesn't count as one."""
        self.refused.add((key, custom_id_of(data)))

    def reported(self, key: str, data: bytes) -> None:
        """A report was written: it is of this document, and not older than what was there."""
        custom_id = custom_id_of(data)
        by = self.ledger.by_custom_id.get(custom_id)
        if by is None or by.key not in {key, self.ledger.shared.get(key)} or not by.is_readable:
            self.blame(
                "a report is what the provider answered for its document",
                f"the report of {key} is made from {by.name if by else custom_id!r}",
            )
            return
        text = data.partition(b"\n---\n\n")[2].decode()
        if by.row.schema is None and not text.startswith(by.said):
            self.blame("what was said is in the report", f"{by.name} went on, and {key} lacks it")
        was = self.reports.get(key)
        self.reports[key] = Written(by=by, data=data)
        if was is None:
            return
        if was.by.number > by.number:
            facts = f"{was.by.name} was overwritten by {by.name}"
            self.blame("no report is overwritten by an older one", facts)
        elif was.by is by and was.data != data and not _says_why(was.data, data):
            self.blame("the same result twice leaves the same bytes", f"{by.name}: {key}")

    def collected(self, batch: Batch) -> None:
        """A batch was closed: its totals are what the provider says it did."""
        rows = self.ledger.batches.get(batch.provider_id or "", [])
        totals = batch.totals
        billed = sum(row.row.input_tokens for row in rows if row.is_paid) * _INPUT_PRICE
        if committed([batch]) < billed:
            facts = (
                f"{batch.id} counts as {committed([batch])}, and its prompts alone cost {billed}"
            )
            self.blame("what may be billed is counted", facts)
        if totals is None:
            return
        asked = [row.custom_id for row in rows]
        asked += [leader.custom_id for _, leader in self.mirror.twins(batch)]
        ids = Counter(custom_id for _, custom_id in self.refused)
        by_id = self.ledger.by_custom_id
        wholes = [custom_id for custom_id in asked if not by_id[custom_id].piece]
        refused = sum(ids[custom_id] for custom_id in set(wholes))
        cut = sum(by_id[custom_id].may_go_on for custom_id in wholes)
        most = cut + sum(by_id[custom_id].is_readable for custom_id in wholes)
        written = totals.reported + totals.continued
        readable = min(max(written, most - refused - cut), most)
        done = totals.outcomes
        tokens = sum(row.row.input_tokens for row in rows if row.is_paid)
        if totals.unpriced:  # lines that never came say nothing
            readable, tokens = written, totals.usage.input_tokens
        told = (done, totals.twins, written, totals.usage.input_tokens)
        true = (len(asked), len(asked) - len(rows), readable, tokens)
        if told != true or batch.requests != len(rows):
            self.blame(
                "totals are what is there",
                f"{batch.id} says (outcomes, twins, reports, tokens) {told}, the provider {true}",
            )


def _says_why(before: bytes, after: bytes) -> bool:
    """Whether only its header differs: it says why the report stays cut short."""
    of = b"\n---\n\n"
    return b"\nnot_continued: " in after and before.partition(of)[2] == after.partition(of)[2]
