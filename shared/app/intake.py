"""Intake: what was seen in the input becomes documents that wait, once per version.

A path names one report, so it belongs to the first that had it, for as long as that is there: what
comes under the same path from elsewhere is a failure under a name of its own, and nothing is lost.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.folders import is_there
from shared.app.gone import forget, forget_former, forget_rows
from shared.app.groups import mark_stale, open_group
from shared.app.report_places import has_report
from shared.app.slices import SLICE
from shared.domain.document import (
    REPORT_MISSING,
    Content,
    Document,
    DocumentStatus,
    Failure,
    Sighting,
    report_lost,
    sighted,
    unchanged,
)
from shared.domain.ids import JobName
from shared.domain.manifest import row_word
from shared.domain.names import stand_in
from shared.domain.variants import variant_path
from shared.ports.blobs import BlobError, BlobNotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many of the documents seen are new, changed, as before, or can't be taken.

    `left` is the first that was not taken any more because time was over.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    unusable: int = 0
    left: Sighting | None = None

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            unusable=self.unusable + other.unusable,
            left=other.left,
        )


def take_in(
    deps: Deps,
    job: JobName,
    sightings: Iterable[Sighting],
    *,
    ready: bool = False,
    until: datetime | None = None,
) -> Taken:
    """Take in what was seen, a slice at a time; safe to repeat, and to run beside itself.

    With `ready` their groups are closed at once. Something is taken even when the clock has passed
    `until`, so that whoever goes on with what is left gets to an end.
    """
    intake = _Intake(deps=deps, job=job, ready=ready)
    total = Taken()
    begun = False
    for part in _distinct(sightings):
        if begun and until is not None and deps.clock() >= until:
            return total + Taken(left=next(iter(part.values())))
        total += intake.take(part)
        forget_former(deps, job, part.values())
        begun = True
    if intake.manifests:
        forget_rows(deps, job, intake.manifests)
    return total


def _distinct(sightings: Iterable[Sighting]) -> Iterator[dict[str, Sighting]]:
    """Runs of distinct paths, so that the second of two rows with one id meets the first stored."""
    pending: dict[str, Sighting] = {}
    for sighting in sightings:
        if sighting.path in pending or len(pending) >= SLICE:
            yield pending
            pending = {}
        pending[sighting.path] = sighting
    if pending:
        yield pending


@dataclass(slots=True, kw_only=True)
class _Intake:
    """One pass over an input. `manifests` are those seen, and archives, with their etags."""

    deps: Deps
    job: JobName
    ready: bool
    manifests: dict[str, str] = field(default_factory=dict)
    _etags: dict[str, str | None] = field(default_factory=dict)

    def take(self, seen: dict[str, Sighting]) -> Taken:
        """Take in one slice."""
        for sighting in seen.values():
            if sighting.content.row is not None:
                self.manifests[sighting.content.source] = sighting.content.row.manifest_etag
        result = Taken()
        todo = seen
        first = True
        while todo:
            known = self.deps.store.documents(self.job, todo.keys())
            rivals = [
                _rival(self.deps, sighting, known[path])
                for path, sighting in todo.items()
                if path in known and self._is_anothers(known[path], sighting)
            ]
            held = {path for path, _ in rivals}
            writes = self._written(
                {path: each for path, each in todo.items() if path not in held}, known
            )
            if first:
                result = _tally(todo, known, writes, held)
                first = False
            lost = self._write(writes, known)
            todo = {path: todo[path] for path in lost}
            todo.update({sighting.path: sighting for _, sighting in rivals})
        return result

    def _written(
        self, seen: dict[str, Sighting], known: dict[str, Document]
    ) -> dict[str, Document]:
        now = self.deps.clock()
        writes: dict[str, Document] = {}
        moved: list[Sighting] = []
        for path, sighting in seen.items():
            before = known.get(path)
            after = sighted(before, sighting, job=self.job, now=now)
            if before is not None and before.latest.source != sighting.content.source:
                moved.append(sighting)
            if self.deps.policy.check_reports:
                after = self._checked(before, after, now=now)
            if after is not None:
                writes[path] = after
        if moved:  # they were named as rivals once, while the first was still there
            names = [_own_name(sighting) for sighting in moved]
            forget(self.deps, self.deps.store.documents(self.job, names).values())
        return writes

    def _checked(
        self, before: Document | None, after: Document | None, *, now: datetime
    ) -> Document | None:
        """A reported document as its report, which may have been removed or put back, has it."""
        current = after or before
        if current is None or before is None:
            return after
        lost = current.failure is not None and current.failure.type == REPORT_MISSING
        if not lost and current.status is not DocumentStatus.REPORTED:
            return after
        if has_report(self.deps, current):
            return unchanged(current) if lost else after
        return after if lost else report_lost(current, now=now)

    def _write(self, writes: dict[str, Document], known: dict[str, Document]) -> set[str]:
        """Open the groups of what waits, then write; the paths that somebody else wrote."""
        deps = self.deps
        as_it_will_be = {**known, **writes}.values()
        waiting = {d.group for d in as_it_will_be if d.status is DocumentStatus.WAITING}
        for name in sorted(waiting):
            quiet = deps.policy.index_lag / 4
            open_group(deps.store, self.job, name, now=deps.clock(), ready=self.ready, quiet=quiet)
        if not writes:
            return set()
        mark_stale(deps.store, self.job)
        lost = deps.store.swap_documents(list(writes.values()))
        mark_stale(deps.store, self.job)
        deps.follow("documents_taken_in", _as_seen(writes, known, lost))
        failed = [d for path, d in writes.items() if d.failure is not None and path not in lost]
        for type_ in sorted({d.failure.type for d in failed if d.failure is not None}):
            of_type = (d for d in failed if d.failure is not None and d.failure.type == type_)
            deps.follow("documents_failed", of_type, type=type_)
        return lost

    def _is_anothers(self, before: Document, sighting: Sighting) -> bool:
        """Whether this path belongs to another document, which is still there."""
        held, seen = before.latest, sighting.content
        if held.source != seen.source:
            return self._is_there(held)
        return (
            held.row is not None
            and seen.row is not None
            and held.row.manifest_etag == seen.row.manifest_etag
            and held.row.line != seen.row.line
            and sighting.failure is None
        )

    def _is_there(self, content: Content) -> bool:
        """Whether the blob is there; a row, whether its manifest is as it was."""
        source = content.source
        if source not in self._etags:
            try:
                self._etags[source] = self._etag(content)
            except BlobNotFound:
                self._etags[source] = None
            except BlobError:  # there, and for all that can be told unchanged
                self._etags[source] = content.row.manifest_etag if content.row else ""
        etag = self._etags[source]
        return etag is not None and (content.row is None or content.row.manifest_etag == etag)

    def _etag(self, content: Content) -> str:
        if not (content.files and content.source.endswith("/")):
            return self.deps.documents.stat(content.source).etag
        if not is_there(self.deps.documents, content.source):
            raise BlobNotFound(f"{self.deps.documents.shown(content.source)} isn't there")
        return ""


def _as_seen(
    writes: dict[str, Document], known: dict[str, Document], lost: set[str]
) -> Iterator[Document]:
    """The versions that were new, also those that wait for an older one to be finished."""
    for path, after in writes.items():
        before = known.get(path)
        if path not in lost and (before is None or before.latest.etag != after.latest.etag):
            yield replace(after, content=after.latest)


def _own_name(sighting: Sighting) -> str:
    """A path that only this sighting can have: no document's is absolute."""
    row, value = sighting.content.row, sighting.content.variant
    own = f"/{sighting.content.source}" if row is None else f"{sighting.manifest}:{row.line}"
    own = own if value is None else variant_path(own, value)
    return stand_in(own) if row is None else own


def _rival(deps: Deps, sighting: Sighting, before: Document) -> tuple[str, Sighting]:
    """The path that it can't have, and its failure."""
    held, seen, row = before.latest, sighting.content, sighting.content.row
    same = held.source == sighting.content.source
    place = "" if same else f" of {deps.documents.shown(held.source)}"
    if row is None:
        message = (
            f"its report would take the place of that of {deps.documents.shown(held.source)}; "
            "rename one of them, or give each its own output"
        )
    else:
        line, first = row.line, held.row.line if held.row else 0
        if same and line < first:
            line, first = first, line
        is_row = seen.packed is None
        word, name = (row_word(seen.source), "id") if is_row else ("member", "name")
        other = row_word(held.source) if is_row else word
        owner = f"{other} {first}{place}" if held.row else f"the document{place}"
        message = (
            f"{word} {line} has the {name} of {owner} again: {sighting.path!r}; "
            f"give each its own {name}"
        )
    etag = sighting.content.etag if row is None else f"{row.manifest_etag}:{row.line}"
    type_ = "duplicate_path" if row is None else "duplicate_id"
    own = replace(
        sighting,
        path=_own_name(sighting),
        content=replace(sighting.content, etag=etag),
        failure=Failure(type=type_, message=message),
    )
    return sighting.path, own


def _tally(
    seen: dict[str, Sighting],
    known: dict[str, Document],
    writes: dict[str, Document],
    rivals: set[str],
) -> Taken:
    new = changed = unchanged = unusable = 0
    for path, sighting in seen.items():
        before = known.get(path)
        if sighting.failure is not None or path in rivals:
            unusable += 1
        elif before is None:
            new += 1
        elif path in writes and before.content.etag != sighting.content.etag:
            changed += 1
        else:
            unchanged += 1
    return Taken(new=new, changed=changed, unchanged=unchanged, unusable=unusable)
