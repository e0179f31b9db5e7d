"""Intake: what was seen in the input becomes documents that wait, once per version."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.groups import mark_stale, open_group
from shared.domain.document import Document, DocumentStatus, Failure, Sighting, sighted
from shared.domain.ids import JobName

_SLICE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many of the documents seen are new, changed, as before, or can't be taken."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    unusable: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            new=self.new + other.new,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            unusable=self.unusable + other.unusable,
        )


def take_in(
    deps: Deps, job: JobName, sightings: Iterable[Sighting], *, ready: bool = False
) -> Taken:
    """Take in what was seen, a slice at a time; safe to repeat, and to run beside itself.

    With `ready` their groups are closed at once.
    """
    total = Taken()
    manifests: dict[str, str] = {}
    for part in _slices(sightings):
        total += _take_slice(deps, job, part, ready=ready)
        for sighting in part.values():
            if sighting.content.row is not None:
                manifests[sighting.content.source] = sighting.content.row.manifest_etag
    for source, etag in manifests.items():
        _forget_rows(deps, job, source=source, manifest_etag=etag)
    return total


def _slices(sightings: Iterable[Sighting]) -> Iterator[dict[str, Sighting]]:
    """Runs of distinct paths, so that the second of two rows with one id meets the first stored."""
    pending: dict[str, Sighting] = {}
    iterator = iter(sightings)
    for sighting in iterator:
        if sighting.path in pending or len(pending) >= _SLICE:
            yield pending
            pending = {}
        pending[sighting.path] = sighting
    if pending:
        yield pending


def _take_slice(deps: Deps, job: JobName, seen: dict[str, Sighting], *, ready: bool) -> Taken:
    now = deps.clock()
    result = Taken()
    todo = seen
    first = True
    while todo:
        known = deps.store.documents(job, todo.keys())
        writes: list[Document] = []
        duplicates: list[Sighting] = []
        for path, sighting in todo.items():
            before = known.get(path)
            if before is not None and _same_row_id(before, sighting):
                duplicates.append(_duplicate(sighting, before))
                continue
            after = sighted(before, sighting, job=job, now=now)
            if after is not None:
                writes.append(after)
        if first:
            result += _tally(todo.values(), known, writes, len(duplicates))
            first = False
        written = {document.path for document in writes}
        waiting = {
            document.group
            for document in [*writes, *(d for d in known.values() if d.path not in written)]
            if document.status is DocumentStatus.WAITING
        }
        for name in sorted(waiting):
            open_group(deps.store, job, name, now=now, ready=ready, quiet=deps.policy.index_lag / 4)
        if writes:
            mark_stale(deps.store, job)
        lost = deps.store.swap_documents(writes)
        if writes:
            mark_stale(deps.store, job)
        todo = {path: todo[path] for path in lost}
        todo.update({sighting.path: sighting for sighting in duplicates})
    return result


def _same_row_id(before: Document, sighting: Sighting) -> bool:
    """Whether another row of the same manifest has this id already."""
    row, held = sighting.content.row, before.latest.row
    return (
        row is not None
        and held is not None
        and before.content.source == sighting.content.source
        and held.manifest_etag == row.manifest_etag
        and held.line != row.line
        and sighting.failure is None
    )


def _duplicate(sighting: Sighting, before: Document) -> Sighting:
    row, held = sighting.content.row, before.latest.row
    line, first = (row.line if row else 0), (held.line if held else 0)
    if line < first:
        line, first = first, line
    row_etag = row.manifest_etag if row else sighting.content.etag
    message = (
        f"line {line} has the id of line {first} again: {sighting.path!r}; give each row its own id"
    )
    return Sighting(
        path=f"{sighting.manifest}:{line}",
        group="",
        content=replace(sighting.content, etag=f"{row_etag}:{line}"),
        failure=Failure(type="duplicate_id", message=message),
    )


def _tally(
    seen: Iterable[Sighting],
    known: dict[str, Document],
    writes: list[Document],
    duplicates: int,
) -> Taken:
    written = {document.path for document in writes}
    new = changed = unchanged = unusable = 0
    for sighting in seen:
        before = known.get(sighting.path)
        if sighting.failure is not None:
            unusable += 1
        elif before is None:
            new += 1
        elif sighting.path in written and before.content.etag != sighting.content.etag:
            changed += 1
        else:
            unchanged += 1
    return Taken(
        new=new, changed=changed, unchanged=unchanged - duplicates, unusable=unusable + duplicates
    )


def _is_outdated(document: Document, manifest_etag: str) -> bool:
    """Whether a failure speaks of a manifest, or of a row of it, as it was before."""
    row, failure = document.content.row, document.failure
    if row is None:
        return failure is not None and failure.type == "invalid_manifest"
    return document.stands_for_a_row and row.manifest_etag != manifest_etag


def _forget_rows(deps: Deps, job: JobName, *, source: str, manifest_etag: str) -> None:
    """Forget what was wrong with rows of a former version of a manifest."""
    failed = deps.store.failed(job)
    while part := list(islice(failed, _SLICE)):
        gone = [
            document
            for document in part
            if document.content.source == source and _is_outdated(document, manifest_etag)
        ]
        if gone:
            deps.store.delete_documents(gone)
            mark_stale(deps.store, job)
