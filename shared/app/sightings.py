"""From a blob to what intake takes in: one document, or a document per row of a manifest."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain

from shared.domain.document import Content, Failure, RowPlace, Sighting
from shared.domain.manifest import (
    BrokenRow,
    InvalidManifest,
    ManifestKind,
    Row,
    looks_like_array,
    manifest_kind,
    rows,
)
from shared.domain.names import InvalidName, check_path, stand_in
from shared.domain.recipe import Recipe
from shared.ports.blobs import Blob, Blobs

RECIPE_NAME = "_recipe.md"
READY_NAME = "_READY"
_LISTED_CHARS = 300
_EPOCH = datetime.fromtimestamp(0, UTC)


def is_marker(path: str) -> bool:
    """Whether a name speaks to docmill instead of being a document."""
    return path.rsplit("/", 1)[-1] in (RECIPE_NAME, READY_NAME)


def sight(
    blobs: Blobs, blob: Blob, path: str, *, recipe: Recipe | None, named_directly: bool = False
) -> Iterator[Sighting]:
    """What is at `path` below the job. Raises InvalidManifest, BlobError while reading rows."""
    try:
        check_path(path)
    except InvalidName as error:
        yield unusable(path, "invalid_name", error.message, blob=blob)
        return
    kind = manifest_kind(path.rsplit("/", 1)[-1], named_directly=named_directly)
    chunks: Iterator[bytes] = iter(())
    if kind is not None:
        chunks = blobs.chunks(blob.key, etag=blob.etag)
        first = next(chunks, b"")
        chunks = chain((first,), chunks)
        if kind is ManifestKind.JSON and not looks_like_array(first):
            kind = None
    by = recipe.group_by if recipe else "folder"
    if kind is None:
        content = Content(source=blob.key, etag=blob.etag, size=blob.size)
        yield Sighting(path=path, group=group_of(path, by, blob.modified), content=content)
        return
    unchecked = kind is ManifestKind.CSV
    for row in rows(kind, chunks):
        if unchecked and isinstance(row, Row):
            _check_columns(recipe, row, path)
            unchecked = False
        yield _row(row, blob, path, by)


def _check_columns(recipe: Recipe | None, row: Row, path: str) -> None:
    """A CSV lacks a column in every row or in none; objects may differ, so each is rendered."""
    missing = recipe.needs_columns - row.columns.keys() if recipe else set()
    if recipe is not None and missing:
        raise InvalidManifest(
            f"{path} has no column {_listed(sorted(missing))}, which the prompt of "
            f"{recipe.name} uses; it has {_listed(row.columns)}"
        )


def _listed(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= _LISTED_CHARS else f"{text[: _LISTED_CHARS - 1]}…"


def _row(row: Row | BrokenRow, blob: Blob, path: str, by: str) -> Sighting:
    if isinstance(row, BrokenRow):
        message = row.message
        if f"line {row.line}" not in message:
            message = f"line {row.line}: {message}"
        return _fault(blob, path, row.line, row.type, message)
    try:
        check_path(row.id)
    except InvalidName as error:
        return _fault(blob, path, row.line, "invalid_id", f"line {row.line}: {error.message}")
    place = RowPlace(manifest_etag=blob.etag, line=row.line, offset=row.offset, length=row.length)
    return Sighting(
        path=row.id,
        group=group_of(row.id, by, blob.modified, row.columns, manifest=path),
        content=Content(source=blob.key, etag=row.digest, size=row.length, row=place),
        manifest=path,
    )


def _fault(blob: Blob, path: str, line: int, type_: str, message: str) -> Sighting:
    """A row that can't become a document, under its place in the manifest."""
    place = RowPlace(manifest_etag=blob.etag, line=line, offset=0, length=0)
    content = Content(source=blob.key, etag=f"{blob.etag}:{line}", size=0, row=place)
    failure = Failure(type=type_, message=message)
    return Sighting(path=f"{path}:{line}", group="", content=content, failure=failure)


def unusable(path: str, type_: str, message: str, *, blob: Blob | None = None) -> Sighting:
    """A name or a blob that can't be taken; it fails at once, and the others go on."""
    shown = stand_in(path)
    return Sighting(
        path=shown,
        group="",
        content=Content(
            source=blob.key if blob else shown,
            etag=blob.etag if blob else "",
            size=blob.size if blob else 0,
        ),
        failure=Failure(type=type_, message=message, retryable=type_ == "unreadable"),
    )


def group_of(
    path: str,
    by: str,
    modified: datetime = _EPOCH,
    columns: Mapping[str, object] | None = None,
    *,
    manifest: str | None = None,
) -> str:
    """The group a document belongs to; rows without the column fall to their manifest's folder."""
    if by == "none":
        return ""
    if by == "date":
        return modified.astimezone(UTC).date().isoformat()
    if columns is not None and by in columns and columns[by] is not None:
        return str(columns[by])[:200]
    return (manifest or path).rpartition("/")[0]
