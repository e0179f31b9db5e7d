"""The life of a document: every document ends as a report or as a failure with a cause.

A document is served one version at a time: a newer version seen while an older one is in a
batch waits in `newer` until that batch has settled it. So no document is ever in two live
batches, and no report is overwritten by an older one.

One that is too long for a request is IN_PARTS, which are records of their own, until all of them
are answered; then it waits again, for the request that merges them.
"""

from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace

from shared.domain.ids import BatchId, CorrelationId, CustomId, JobName, correlation_id
from shared.domain.names import REPORT_SUFFIX
from shared.domain.parts import Answer, Part, Parts
from shared.domain.record import Record
from shared.domain.unfinished import Unfinished


class DocumentStatus(StrEnum):
    WAITING = "waiting"
    IN_BATCH = "in_batch"
    IN_PARTS = "in_parts"
    REPORTED = "reported"
    FAILED = "failed"


class DocumentEvent(StrEnum):
    CHANGED = "changed"
    CLAIMED = "claimed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RELEASED = "released"
    REQUEUED = "requeued"
    UNCHANGED = "unchanged"
    SPLIT = "split"
    ANSWERED = "answered"


TRANSITIONS: dict[tuple[DocumentStatus, DocumentEvent], DocumentStatus] = {
    (DocumentStatus.WAITING, DocumentEvent.CHANGED): DocumentStatus.WAITING,
    (DocumentStatus.WAITING, DocumentEvent.CLAIMED): DocumentStatus.IN_BATCH,
    (DocumentStatus.WAITING, DocumentEvent.FAILED): DocumentStatus.FAILED,
    (DocumentStatus.WAITING, DocumentEvent.UNCHANGED): DocumentStatus.REPORTED,
    (DocumentStatus.WAITING, DocumentEvent.SPLIT): DocumentStatus.IN_PARTS,
    (DocumentStatus.IN_PARTS, DocumentEvent.CHANGED): DocumentStatus.WAITING,
    (DocumentStatus.IN_PARTS, DocumentEvent.ANSWERED): DocumentStatus.WAITING,
    (DocumentStatus.IN_PARTS, DocumentEvent.FAILED): DocumentStatus.FAILED,
    (DocumentStatus.IN_BATCH, DocumentEvent.SUCCEEDED): DocumentStatus.REPORTED,
    (DocumentStatus.IN_BATCH, DocumentEvent.FAILED): DocumentStatus.FAILED,
    (DocumentStatus.IN_BATCH, DocumentEvent.RELEASED): DocumentStatus.WAITING,
    (DocumentStatus.REPORTED, DocumentEvent.CHANGED): DocumentStatus.WAITING,
    (DocumentStatus.FAILED, DocumentEvent.CHANGED): DocumentStatus.WAITING,
    (DocumentStatus.FAILED, DocumentEvent.FAILED): DocumentStatus.FAILED,
    (DocumentStatus.FAILED, DocumentEvent.REQUEUED): DocumentStatus.WAITING,
    (DocumentStatus.FAILED, DocumentEvent.UNCHANGED): DocumentStatus.REPORTED,
    (DocumentStatus.FAILED, DocumentEvent.SUCCEEDED): DocumentStatus.REPORTED,
    (DocumentStatus.REPORTED, DocumentEvent.FAILED): DocumentStatus.FAILED,
}


SOURCE_CHANGED = "source_changed"
"""Another version lies there than the one that was seen; only that one may be sent."""

READ_FAILURES = frozenset({"not_found", SOURCE_CHANGED, "unreadable"})
"""Failures that are over once intake sees the document again."""

REPORT_NOT_WRITTEN = "report_not_written"
"""The answer came and could not lie where it belongs; it is kept, as it is paid for."""

REPORT_BLOCKED = "report_blocked"
"""Something is in its report's place, so it isn't sent."""

REPORT_MISSING = "report_missing"
"""The report was there and is gone; making it again is paid for again, so a person decides."""


class RowPlace(Record, frozen=True, kw_only=True):
    """Where one row of a manifest, or member of an archive, lies, so that it can be read again by a
    range read."""

    manifest_etag: str
    line: int
    offset: int
    length: int


class Packed(Record, frozen=True, kw_only=True):
    """How a member lies in its archive: as it is, or deflated; in a tar its bytes come as they are.

    `name` is the one it has there; `crc` is known of a zip's members.
    """

    name: str
    deflated: bool = False
    crc: int | None = None


class Content(Record, frozen=True, kw_only=True):
    """One version of a document. `etag` changes exactly when the version does.

    A member of an archive has a `row` as well, by which it is found there: its number, the byte
    that it begins at (of a compressed tar, once unpacked) and how many it takes. `files` is how
    many a folder or archive has that is one document; the source of a folder ends in `/`.
    `variant` is which of its recipe's values (`each`) this document is made with, `truth` what its
    row says the answer should be.
    """

    source: str
    etag: str
    size: int
    row: RowPlace | None = None
    variant: str | None = None
    truth: str | None = None
    packed: Packed | None = None
    files: int = 0

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a manifest."""
        return self.row is not None and self.packed is None

    @property
    def is_file(self) -> bool:
        """Whether it is a file of its own."""
        return self.row is None and not self.files

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder that is one document."""
        return self.files > 0 and self.source.endswith("/")

    @property
    def remedy(self) -> str:
        """What a person does about one that a request can't take."""
        return "put some of its files into another folder" if self.is_folder else "split it"

    @property
    def order(self) -> str:
        """Packing order: rows and members in the order they lie in, so reads stay sequential."""
        return f"{self.source}#{self.row.offset:015d}" if self.row else self.source


class Failure(Record, frozen=True, kw_only=True):
    """Why a document has no report: `type` and `message` as the API gave them, or docmill's own.

    `retryable` says whether `docmill retry` takes it up without `--all`. `suffix`, `rows_in` and
    `merged` are those of a report that is kept (see `Document`).
    """

    type: str
    message: str
    retryable: bool = False
    attempts: int = 0
    custom_id: CustomId | None = None
    suffix: str = REPORT_SUFFIX
    rows_in: BatchId | None = None
    merged: Answer | None = None


class Sighting(Record, frozen=True, kw_only=True):
    """A document as intake found it now; `failure` when it can't be taken as it is.

    `manifest` is the path of the manifest that a row lies in.
    """

    path: str
    group: str
    content: Content
    failure: Failure | None = None
    manifest: str | None = None


class Document(Record, frozen=True, kw_only=True):
    """What gets one report: a file, or one row of a manifest.

    `path` is its identity within the job and names its report. `since` is when this version
    began to wait. `losses` say what its request lacks of it. Of its last report, `reported_digest`
    is of what it was made from, `report_suffix` what its name ends in, `rows_in` the batch whose
    rows have its fields, and `merged` what the answers used that it was merged from. `parts` says
    how it was split, `part` which part of a document this record stands for, and `answer` what its
    answer used. `unfinished` is of an answer that was cut short, and is to go on. `rev` is the
    store's: the revision read, 0 when never stored.
    """

    job: JobName
    path: str
    group: str
    content: Content
    status: DocumentStatus
    since: datetime
    newer: Sighting | None = None
    batch: BatchId | None = None
    attempts: int = 0
    claimed_digest: str | None = None
    reported_digest: str | None = None
    report_suffix: str = REPORT_SUFFIX
    rows_in: BatchId | None = None
    merged: Answer | None = None
    failure: Failure | None = None
    parts: Parts | None = None
    part: Part | None = None
    answer: Answer | None = None
    unfinished: Unfinished | None = None
    losses: tuple[str, ...] = ()
    rev: int = 0

    @property
    def latest(self) -> Content:
        """The newest version that was seen."""
        return self.newer.content if self.newer else self.content

    @property
    def correlation_id(self) -> CorrelationId:
        """The id of this version: another try has the same one, another version another."""
        path = self.part.of if self.part else self.path
        return correlation_id(self.job, path, self.content.etag)

    @property
    def merges(self) -> bool:
        """Whether what it was claimed for merges the answers about its parts."""
        parts = self.parts
        return parts is not None and bool(parts.counts) and parts.digest == self.claimed_digest

    @property
    def stands_for_a_row(self) -> bool:
        """Whether it only names a faulty row of a manifest, which no retry can mend."""
        row = self.content.row
        return row is not None and self.content.etag.startswith(f"{row.manifest_etag}:")


def _after(document: Document, event: DocumentEvent) -> DocumentStatus:
    return TRANSITIONS[document.status, event]


def sighted(
    document: Document | None, sighting: Sighting, *, job: JobName, now: datetime
) -> Document | None:
    """The document after intake saw it; None when there is nothing to write."""
    if document is None:
        return Document(
            job=job,
            path=sighting.path,
            group=sighting.group,
            content=sighting.content,
            status=DocumentStatus.FAILED if sighting.failure else DocumentStatus.WAITING,
            since=now,
            failure=sighting.failure,
        )
    if sighting.content.etag == document.content.etag:
        return _seen_again(document, sighting, now=now)
    if document.status is DocumentStatus.IN_BATCH:
        return None if sighting == document.newer else replace(document, newer=sighting)
    return _taken_up(document, sighting, now=now)


def _taken_up(document: Document, sighting: Sighting, *, now: datetime) -> Document:
    event = DocumentEvent.FAILED if sighting.failure else DocumentEvent.CHANGED
    return replace(
        document,
        status=_after(document, event),
        group=sighting.group,
        content=sighting.content,
        newer=None,
        since=now,
        attempts=0,
        failure=sighting.failure,
        unfinished=None,
    )


def _seen_again(document: Document, sighting: Sighting, *, now: datetime) -> Document | None:
    """The same version once more: only where it lies, and what it waits with, may have moved."""
    after = replace(document, content=sighting.content, newer=None)
    if document.status is DocumentStatus.WAITING:
        after = replace(after, group=sighting.group)
    if document.status is DocumentStatus.FAILED:
        failure = sighting.failure or document.failure
        after = replace(after, group=sighting.group, failure=failure)
        if sighting.failure is None and failure is not None and failure.type in READ_FAILURES:
            status = _after(document, DocumentEvent.CHANGED)
            after = replace(after, status=status, since=now, attempts=0, failure=None)
    return None if after == document else after


def claimed(
    document: Document, batch: BatchId, *, digest: str, losses: tuple[str, ...] = ()
) -> Document:
    """In the batch from now on. `digest` is of the content that was read for the request, `losses`
    what could not be taken into it."""
    goes_on = document.unfinished is not None and document.unfinished.digest == digest
    return replace(
        document,
        status=_after(document, DocumentEvent.CLAIMED),
        batch=batch,
        claimed_digest=digest,
        losses=losses,
        unfinished=document.unfinished if goes_on else None,
    )


def unchanged(document: Document) -> Document:
    """Its content is what its report was made from: nothing to pay for."""
    return replace(document, status=_after(document, DocumentEvent.UNCHANGED), failure=None)


def reported(
    document: Document,
    *,
    now: datetime,
    suffix: str = REPORT_SUFFIX,
    rows_in: BatchId | None = None,
    merged: Answer | None = None,
) -> Document:
    """Its report is written, at once or after it was kept for a while."""
    after = replace(
        document,
        status=_after(document, DocumentEvent.SUCCEEDED),
        batch=None,
        claimed_digest=None,
        reported_digest=document.claimed_digest,
        report_suffix=suffix,
        rows_in=rows_in,
        merged=merged,
        failure=None,
        unfinished=None,
    )
    return _take_up_newer(after, now=now)


def continued(document: Document, unfinished: Unfinished, *, now: datetime) -> Document:
    """Its report is written as far as it goes, where that can be, and waits for the rest, unless a
    newer version does."""
    if document.newer is not None and unfinished.suffix is not None:
        return reported(document, now=now, suffix=unfinished.suffix)
    return replace(released(document, now=now, attempts=0), unfinished=unfinished)


def _cut_short(document: Document, unfinished: Unfinished, *, now: datetime) -> Document:
    """Its report stays as it is, without the rest: an answer that was paid for is no failure."""
    waits = document.status is DocumentStatus.WAITING
    event = DocumentEvent.UNCHANGED if waits else DocumentEvent.SUCCEEDED
    after = replace(
        document,
        status=_after(document, event),
        batch=None,
        claimed_digest=None,
        reported_digest=unfinished.digest,
        report_suffix=unfinished.suffix or document.report_suffix,
        rows_in=None,
        merged=None,
        attempts=0,
        failure=None,
        unfinished=None,
    )
    return _take_up_newer(after, now=now)


def failed(document: Document, failure: Failure, *, now: datetime) -> Document:
    """It ends without a report, unless a newer version waits; or with one that is there already
    and only lacks the rest."""
    kept = failure.type == REPORT_NOT_WRITTEN
    if document.unfinished is not None and document.unfinished.suffix is not None and not kept:
        return _cut_short(document, document.unfinished, now=now)
    after = replace(
        document,
        status=_after(document, DocumentEvent.FAILED),
        batch=None,
        claimed_digest=document.claimed_digest if kept else None,
        attempts=failure.attempts,
        failure=failure,
        unfinished=None,
    )
    return _take_up_newer(after, now=now)


def released(document: Document, *, now: datetime, attempts: int | None = None) -> Document:
    """Out of its batch and waiting again; `attempts` when the try counts."""
    after = replace(
        document,
        status=_after(document, DocumentEvent.RELEASED),
        batch=None,
        claimed_digest=None,
        since=now,
        attempts=document.attempts if attempts is None else attempts,
    )
    return _take_up_newer(after, now=now)


def requeued(document: Document, *, now: datetime) -> Document:
    """A person asked for a failed document to be tried again: its attempts start anew."""
    cause = document.failure.type if document.failure else ""
    lost = cause == REPORT_MISSING
    content = document.content
    if cause == SOURCE_CHANGED and content.row is None:
        content = replace(content, etag="")  # whatever lies there now
    return replace(
        document,
        status=_after(document, DocumentEvent.REQUEUED),
        content=content,
        since=now,
        attempts=0,
        reported_digest=None if lost else document.reported_digest,
        failure=None,
    )


def split(document: Document, parts: Parts, *, losses: tuple[str, ...] | None = None) -> Document:
    """Its parts wait, or are under way: they are written before. `losses` say what none of them
    has of it, where that was looked for. What there is of an answer about other content isn't gone
    on with."""
    return replace(
        document,
        status=_after(document, DocumentEvent.SPLIT),
        parts=parts,
        losses=document.losses if losses is None else losses,
        unfinished=None,
    )


def all_answered(document: Document, *, now: datetime) -> Document:
    """None of its parts is under way any more: it waits to be merged."""
    return replace(document, status=_after(document, DocumentEvent.ANSWERED), since=now)


def report_lost(document: Document, *, now: datetime) -> Document:
    """Its report was there and is gone."""
    message = "its report was removed; `docmill retry` makes it again, and that is paid for again"
    return failed(document, Failure(type=REPORT_MISSING, message=message, retryable=True), now=now)


def source_gone(document: Document) -> Document | None:
    """It left the input before it was in a batch: None to forget it, unless it has a report.

    What its report was made from stays known, so that the same content isn't paid for again when
    it comes back.
    """
    if document.unfinished is not None and document.unfinished.suffix is not None:
        document = _cut_short(document, document.unfinished, now=document.since)
    elif document.reported_digest is None:
        return None
    else:
        document = replace(unchanged(document), unfinished=None)
    return replace(document, content=replace(document.content, etag=""), newer=None)


def _take_up_newer(document: Document, *, now: datetime) -> Document:
    return _taken_up(document, document.newer, now=now) if document.newer else document
