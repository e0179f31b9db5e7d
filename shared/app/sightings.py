"""From what a listing found to what intake takes in: one document, or a document per row."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, islice

from shared.app.variants import in_variants
from shared.domain.archive import archive_kind
from shared.domain.digest import DIGEST_RECIPE
from shared.domain.document import Content, Failure, RowPlace, Sighting
from shared.domain.manifest import (
    BrokenRow,
    InvalidManifest,
    ManifestKind,
    Row,
    looks_like_array,
    manifest_kind,
    read_header,
    row_word,
    rows,
)
from shared.domain.names import InvalidName, check_path, escaped, hides, stand_in
from shared.domain.recipe import Recipe
from shared.domain.truth import Truth, truth_in
from shared.ports.blobs import Blob, Blobs, BlobUnreadable, Unlisted

RECIPE_NAME = "_recipe.md"
READY_NAME = "_READY"
_ROWS_LOOKED_AT = 1000
_LISTED_CHARS = 300

Tell = Callable[[str], None]
"""Hears, as one line, what was passed over that a person may look for."""


def to_nobody(said: str) -> None:
    """For callers that have nobody to tell."""


_EPOCH = datetime.fromtimestamp(0, UTC)


def is_document(path: str) -> bool:
    """Whether what lies at `path` below a job is meant to be one: no marker, nothing hidden."""
    parts = path.split("/")
    name, hidden = parts[-1], any(map(hides, parts))
    own = name in (RECIPE_NAME, READY_NAME) or path == DIGEST_RECIPE
    return bool(name) and not hidden and not own


def sightings_of(
    blobs: Blobs,
    found: Blob | Unlisted,
    path: str,
    *,
    recipe: Recipe | None,
    named_directly: bool = False,
    start: RowPlace | None = None,
    tell: Tell = to_nobody,
) -> Iterator[Sighting]:
    """What is at `path` below the job, and what can't become a document as its failure.

    With `start`, a manifest or archive of that version is read from that row on. Raises
    BlobNotFound, BlobChanged or BlobStoreUnavailable while one is read.
    """
    seen = _seen(
        blobs, found, path, recipe=recipe, named_directly=named_directly, start=start, tell=tell
    )
    yield from in_variants(seen, recipe)


def _seen(
    blobs: Blobs,
    found: Blob | Unlisted,
    path: str,
    *,
    recipe: Recipe | None,
    named_directly: bool,
    start: RowPlace | None,
    tell: Tell,
) -> Iterator[Sighting]:
    by = recipe.group_by if recipe else "folder"
    if isinstance(found, Unlisted):
        why = "unreadable_folder" if found.key.endswith("/") else "unreadable"
        # A name that isn't UTF-8 can't be stored, and whoever lists again finds it again.
        content = Content(source=escaped(found.key), etag="", size=0)
        yield _unusable(path, why, found.message, content, by)
        return
    content = Content(source=found.key, etag=found.etag, size=found.size)
    try:
        check_path(path)
    except InvalidName as error:
        yield _unusable(path, "invalid_name", error.message, content, by)
        return
    if (kind := archive_kind(path)) is not None:
        # Where there are none, nothing is imported for them.
        from shared.app.archive_sightings import archive_sightings  # noqa: PLC0415

        yield from archive_sightings(
            blobs, found, path, kind, recipe=recipe, start=start, tell=tell
        )
        return
    try:
        reader = _manifest_rows(blobs, found, path, named_directly=named_directly, start=start)
        if reader is None:
            yield Sighting(path=path, group=group_of(path, by, found.modified), content=content)
            return
        for row in _checked(recipe, reader, path):
            yield _row(row, found, path, by, recipe.truth if recipe else None)
    except InvalidManifest as error:
        yield _unusable(path, "invalid_manifest", str(error), content, by)
    except BlobUnreadable as error:
        yield _unusable(path, "unreadable", error.message, content, by)


def columns_of(blobs: Blobs, blob: Blob, path: str, *, named_directly: bool = False) -> set[str]:
    """The columns that the first rows of a manifest have; none for a document.

    Raises BlobError while it is read.
    """
    try:
        found = _manifest_rows(blobs, blob, path, named_directly=named_directly, start=None)
        first = islice(found or (), _ROWS_LOOKED_AT)
        return {name for row in first if isinstance(row, Row) for name in row.columns}
    except InvalidManifest:
        return set()


def unplaced(blob: Blob, type_: str, why: str) -> Sighting:
    """Something outside any job."""
    content = Content(source=blob.key, etag=blob.etag, size=blob.size)
    return _unusable(blob.key or "(empty key)", type_, why, content, "none")


def _manifest_rows(
    blobs: Blobs, blob: Blob, path: str, *, named_directly: bool, start: RowPlace | None
) -> Iterator[Row | BrokenRow] | None:
    """The rows, or None for a document."""
    kind = manifest_kind(path.rsplit("/", 1)[-1], named_directly=named_directly)
    if kind is None:
        return None
    if kind is ManifestKind.PARQUET:
        from shared.app.parquet import parquet_rows  # noqa: PLC0415 - as with archives

        begun = start is not None and start.manifest_etag == blob.etag
        return parquet_rows(blobs, blob, start=start.line if start and begun else 1)
    if start is not None and start.manifest_etag == blob.etag and start.offset:
        header = None
        if kind is ManifestKind.CSV:
            header = read_header(blobs.chunks(blob.key, etag=blob.etag)).names
        chunks = blobs.chunks(blob.key, etag=blob.etag, offset=start.offset)
        return rows(kind, chunks, offset=start.offset, line=start.line, header=header)
    chunks = blobs.chunks(blob.key, etag=blob.etag)
    first = next(chunks, b"")
    if kind is ManifestKind.JSON and not looks_like_array(first):
        return None
    return rows(kind, chain((first,), chunks))


def _checked(
    recipe: Recipe | None, found: Iterator[Row | BrokenRow], path: str
) -> Iterator[Row | BrokenRow]:
    """The same rows. Raises InvalidManifest where the first shows that all lack a column.

    A CSV or Parquet file lacks a column in every row or in none; objects may differ, so each is
    rendered.
    """
    kind = manifest_kind(path.rsplit("/", 1)[-1], named_directly=True)
    unchecked = recipe is not None and kind in (ManifestKind.CSV, ManifestKind.PARQUET)
    for row in found:
        if recipe is not None and unchecked and isinstance(row, Row):
            missing = recipe.needs_columns - row.columns.keys()
            if missing:
                raise InvalidManifest(
                    f"{path} has no column {_listed(sorted(missing))}, which the prompt of "
                    f"{recipe.name} uses; it has {_listed(row.columns)}"
                )
            unchecked = False
        yield row


def _listed(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= _LISTED_CHARS else f"{text[: _LISTED_CHARS - 1]}…"


def _row(row: Row | BrokenRow, blob: Blob, path: str, by: str, truth: Truth | None) -> Sighting:
    if isinstance(row, BrokenRow):
        message, place = row.message, f"{row_word(path)} {row.line}"
        if place not in message:
            message = f"{place}: {message}"
        return _fault(row, blob, path, by, failure=Failure(type=row.type, message=message))
    try:
        check_path(row.id)
    except InvalidName as error:
        message = f"{row_word(path)} {row.line}: {error.message}"
        failure = Failure(type="invalid_id", message=message)
        return _fault(row, blob, path, by, failure=failure)
    return Sighting(
        path=row.id,
        group=group_of(row.id, by, blob.modified, row.columns, manifest=path),
        content=Content(
            source=blob.key,
            etag=row.digest,
            size=row.length,
            row=_place(row, blob),
            truth=truth_in(row.columns, truth),
        ),
        manifest=path,
    )


def _fault(row: Row | BrokenRow, blob: Blob, path: str, by: str, *, failure: Failure) -> Sighting:
    """A row that can't become a document, under its place in the manifest."""
    return Sighting(
        path=f"{path}:{row.line}",
        group=group_of(path, by, blob.modified),
        content=Content(
            source=blob.key, etag=f"{blob.etag}:{row.line}", size=0, row=_place(row, blob)
        ),
        failure=failure,
        manifest=path,
    )


def _place(row: Row | BrokenRow, blob: Blob) -> RowPlace:
    return RowPlace(manifest_etag=blob.etag, line=row.line, offset=row.offset, length=row.length)


def _unusable(path: str, type_: str, message: str, content: Content, by: str) -> Sighting:
    """A name or a blob that can't be taken; it fails at once, and the others go on."""
    shown = stand_in(path)
    retryable = type_ == "unreadable"
    return Sighting(
        path=shown,
        group=group_of(shown, by),
        content=content,
        failure=Failure(type=type_, message=message, retryable=retryable),
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
    return (manifest or path).rstrip("/").rpartition("/")[0]
