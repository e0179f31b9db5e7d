"""Digests of a stack's groups: when a group is finished, its reports become a document.

That document is one of a job of its own (`shared.domain.digest.digest_job`), which waits, is sent
and comes back as any other does, by the recipe `_digest.md` beside the job's own. It lies in the
output, so it is never taken in as a document of the input, and a digest has no digest.

Making a document twice costs nothing: the same content isn't sent again.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby, islice

from msgspec.structs import replace

from shared.app.control import requeue_unpaid
from shared.app.deps import Deps, NoRecipe
from shared.app.digest_notes import NOTE, RECIPE_MISSING, as_seen_by, is_note
from shared.app.groups import mark_stale, set_problem, wake_groups
from shared.app.intake import take_in
from shared.app.report_places import report_key
from shared.app.slices import slices
from shared.domain.digest import (
    Reported,
    digest_document,
    digest_job,
    digest_path,
    digested_job,
    report_read,
)
from shared.domain.document import (
    REPORT_BLOCKED,
    Content,
    Document,
    DocumentStatus,
    Failure,
    Sighting,
)
from shared.domain.group import Group
from shared.domain.ids import JobName
from shared.domain.names import InvalidName, check_path, stand_in
from shared.domain.parts import MOST_BYTES
from shared.ports.blobs import BlobNotFound, BlobUnreadable
from shared.ports.store import StaleWrite

_MOST_REPORTS = 100_000
"""Of one digest (ours): what MOST_BYTES hold of reports of 640 bytes."""

_MOST_AT_ONCE = 500_000
"""Paths of reports that are held in memory, about 100 MB."""

_GROUPS_AT_ONCE = 1_000
_ENDED = (DocumentStatus.REPORTED, DocumentStatus.FAILED)
_TAKEN_FOR = timedelta(hours=1)
"""How long a note is left alone once it was taken up: of a job whose documents can't be looked
through within a function's time, it costs a read of all of them each time that it is tried."""


def recipe_came(deps: Deps, job: JobName) -> None:
    """The recipe of a job's digests is there, is another, or is gone: all is looked at again."""
    digests = digest_job(job)
    requeue_unpaid(deps, digests)
    wake_groups(deps.store, digests, now=deps.clock())
    if deps.store.job(job) is not None:
        mark_stale(deps.store, job)


def make_digests(deps: Deps, *, until: datetime | None = None) -> int:
    """Make the documents of groups that stayed finished as long as the recipe's `max_wait`; how
    many. What isn't managed before the clock passes `until` is for the next time."""
    made = 0
    notes = [group for group in deps.store.groups() if is_note(group)]
    for digests, of_job in groupby(notes, key=lambda note: note.job):
        try:
            made += _make(deps, digests, list(of_job), until)
        except _Late:
            break
    return made


class _Late(Exception):
    """The time is over."""


class _TooLarge(Exception):
    """There is more than one document may hold."""


@dataclass(slots=True)
class _Reports:
    """What a group consists of, gathered in one pass over its job."""

    reports: list[Document] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    is_open: bool = False

    def __len__(self) -> int:
        return len(self.reports) + len(self.failed)

    def add(self, document: Document) -> None:
        """Take a document; of a group that can't have a digest nothing is kept."""
        match document.status:
            case DocumentStatus.REPORTED:
                self.reports.append(document)
            case DocumentStatus.FAILED:
                failure = document.failure
                self.failed[document.path] = failure.type if failure else "unknown"
            case _:
                self.is_open = True


def _make(deps: Deps, digests: JobName, notes: list[Group], until: datetime | None) -> int:
    job = digested_job(digests)
    if job is None:
        raise AssertionError(f"{digests} is not a job of digests")
    try:
        quiet = deps.recipe(digests).max_wait
    except NoRecipe as missing:
        if missing.problem.type == RECIPE_MISSING:  # it was removed: none is wanted any more
            for note in notes:
                with suppress(StaleWrite):
                    deps.store.close_group(note)
        else:
            set_problem(deps.store, digests, missing.problem)
            deps.emit("job_held", job=digests, message=missing.problem.message)
        return 0
    set_problem(deps.store, digests, None)
    now = deps.clock()
    due = (note for note in notes if now - note.touched >= quiet)
    due = (note for note in due if note.next_at is None or note.next_at <= now)
    taken = _taken(deps, islice(due, _GROUPS_AT_ONCE))
    made = 0
    for name, found in _gathered(deps, job, taken, until).items():
        _check_time(deps, until)
        if not found.is_open:  # else it is noted again when it is finished
            if found.reports:
                made += _take_in(deps, digests, name, found)
            with suppress(StaleWrite):  # noted again meanwhile
                deps.store.close_group(taken[name])
    return made


def _taken(deps: Deps, notes: Iterable[Group]) -> dict[str, Group]:
    """The notes that nobody else works on, by group."""
    taken: dict[str, Group] = {}
    for note in notes:
        with suppress(StaleWrite):
            later = deps.clock() + _TAKEN_FOR
            taken[note.name.removeprefix(NOTE)] = deps.store.swap_group(
                replace(note, next_at=later)
            )
    return taken


def _gathered(
    deps: Deps, job: JobName, notes: dict[str, Group], until: datetime | None
) -> dict[str, _Reports]:
    """The groups' documents, as far as they fit; the notes of the others are given back."""
    if not notes:
        return {}
    found = {name: _Reports() for name in notes}
    size = 0
    for number, document in enumerate(deps.store.all_documents(job)):
        if number % 1_000 == 0:
            _check_time(deps, until)
        group = found.get(document.group)
        if group is None:
            continue
        if len(group) <= _MOST_REPORTS:
            group.add(document)
            size += 1
        elif document.status not in _ENDED:
            group.is_open = True
        if size > _MOST_AT_ONCE and len(found) > 1:
            size -= len(found.pop(document.group))
            with suppress(StaleWrite):
                deps.store.swap_group(replace(notes[document.group], next_at=None))
    return found


def _check_time(deps: Deps, until: datetime | None) -> None:
    if until is not None and deps.clock() >= until:
        raise _Late


def _take_in(deps: Deps, digests: JobName, group: str, found: _Reports) -> int:
    """Put the document together and take it in; whether it is new, or another than before."""
    name = sha256(group.encode(errors="surrogatepass")).hexdigest()[:32]
    source = deps.output_key(digests, f"in/{name}")
    path = digest_path(group)
    failure = _refused(deps, path, found)
    content = Content(source=source, etag="", size=0)
    if failure is None:
        try:
            deps.reports.write_stream(source, _pieces(deps, found))
        except _TooLarge:
            failure = _too_large()
        else:
            blob = deps.reports.stat(source)
            content = Content(source=source, etag=blob.etag, size=blob.size)
    if failure is not None:
        path = stand_in(path)
    sighting = Sighting(path=path, group="", content=content, failure=failure)
    taken = take_in(as_seen_by(deps, digests), digests, [sighting], ready=True)
    return taken.new + taken.changed


def _refused(deps: Deps, path: str, found: _Reports) -> Failure | None:
    if len(found) > _MOST_REPORTS:
        return _too_large()
    try:
        check_path(path)
    except InvalidName as error:
        return Failure(type="invalid_name", message=error.message)
    job = found.reports[0].job
    if deps.store.documents(job, [path]):
        message = f"the report of the document {path} lies in its place; rename that document"
        return Failure(type=REPORT_BLOCKED, message=message, retryable=True)
    return None


def _too_large() -> Failure:
    message = (
        f"its group has more than {_MOST_REPORTS:,} documents, or more than {MOST_BYTES:,} bytes "
        "of reports; make smaller groups"
    )
    return Failure(type="document_too_large", message=message)


def _pieces(deps: Deps, found: _Reports) -> Iterator[bytes]:
    size = 0
    for piece in digest_document(_read(deps, found), found.failed):
        data = piece.encode("utf-8", "replace")
        size += len(data)
        if size > MOST_BYTES:
            raise _TooLarge
        yield data


def _read(deps: Deps, found: _Reports) -> Iterator[Reported]:
    """The reports; one that somebody removed is told among what has none."""
    for part in slices(found.reports):
        contents = deps.reports.read_many([report_key(deps, document) for document in part])
        for document, data in zip(part, contents, strict=True):
            if isinstance(data, BlobNotFound | BlobUnreadable):
                found.failed[document.path] = "report_missing"
            elif isinstance(data, bytes):
                yield report_read(document.path, document.report_suffix, data)
            else:
                raise data
