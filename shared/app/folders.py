"""Folders that are one document each: a contract and its annexes.

Nothing is kept of what is in one but a digest of its listing, so it may have many files; it is
listed again when it is read, and only what was seen is sent.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain, groupby
from typing import Final, TypeVar

from shared.app.sightings import group_of, is_document
from shared.app.variants import in_variants
from shared.domain.bundle import HEAD_ROOM, ROOM
from shared.domain.document import Content, Failure, Sighting
from shared.domain.names import InvalidName, check_path, escaped, stand_in
from shared.domain.recipe import Recipe
from shared.domain.recipe_input import InputShape
from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobError,
    BlobNotFound,
    Blobs,
    BlobStoreUnavailable,
    Unlisted,
)

MOST_PARTS: Final = 10_000
"""Files of one document; a model's context holds fewer."""

MOST_FOLDER_BYTES: Final = 100_000_000
"""What is held of one document's files; more is no text that a model takes."""

_ETAG_HEX: Final = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as it was listed. `key` ends in `/`; `fault` is of the first part that can't be
    read. `etag` changes exactly when a part is added, changed or removed."""

    key: str
    path: str
    etag: str
    size: int
    files: int
    modified: datetime | None
    fault: str | None


_Found = tuple[Blob | Unlisted, str]


def with_folders(
    found: Iterable[_Found], shape: InputShape
) -> Iterator[tuple[Blob | Unlisted | Folder, str]]:
    """The same, each with its path below the job and in their order, but folders that are one
    document once for all that they hold."""
    for path, run in groupby(found, key=lambda each: shape.folder_of(each[1])):
        if path is None:
            yield from run
            continue
        yield _among(path, run), path


def _among(path: str, run: Iterator[_Found]) -> Folder:
    first, inner = next(run)
    key = first.key[: len(first.key) - len(inner)] + path + "/"
    return _folder(key, path, chain((first,), (found for found, _ in run)))


def look(blobs: Blobs, key: str, path: str) -> Folder | None:
    """The folder as it is now; None where it holds nothing. Raises BlobStoreUnavailable."""
    folder = _folder(key, path, _parts(blobs, key))
    return folder if folder.files else None


def is_there(blobs: Blobs, key: str) -> bool:
    """Whether the folder holds anything. Raises BlobStoreUnavailable."""
    return next(_parts(blobs, key), None) is not None


def _parts(blobs: Blobs, key: str) -> Iterator[Blob | Unlisted]:
    return (
        found for found in blobs.list(key) if is_document(found.key.removeprefix(key).rstrip("/"))
    )


def _folder(key: str, path: str, parts: Iterable[Blob | Unlisted]) -> Folder:
    digest = sha256()
    size, count = HEAD_ROOM, 0
    modified: datetime | None = None
    fault: str | None = None
    for part in parts:
        name = part.key.removeprefix(key)
        count += 1
        if isinstance(part, Unlisted):
            fault = fault or part.message
            digest.update(f"{escaped(name)}\0?\n".encode())
            continue
        digest.update(f"{name}\0{part.etag}\n".encode())
        size += part.size + 2 * len(escaped(name).encode()) + ROOM
        modified = max(modified or part.modified, part.modified)
    return Folder(
        key=key,
        path=path,
        etag=digest.hexdigest()[:_ETAG_HEX],
        size=size,
        files=count,
        modified=modified,
        fault=fault,
    )


def folder_sightings(folder: Folder, recipe: Recipe | None) -> Iterator[Sighting]:
    """The document that the folder is, or its failure; one for each of the recipe's values."""
    yield from in_variants([_sighting(folder, recipe)], recipe)


def _sighting(folder: Folder, recipe: Recipe | None) -> Sighting:
    failure = None
    try:
        check_path(folder.path)
    except InvalidName as error:
        failure = Failure(type="invalid_name", message=error.message)
    if failure is None and folder.fault is not None:
        failure = Failure(type="unreadable", message=folder.fault, retryable=True)
    if failure is None and folder.files > MOST_PARTS:
        message = f"it has {folder.files:,} files; one document has {MOST_PARTS:,} at most"
        failure = Failure(type="document_too_large", message=message)
    path = stand_in(folder.path)
    modified = () if folder.modified is None else (folder.modified,)
    return Sighting(
        path=path,
        group=group_of(path, recipe.group_by if recipe else "folder", *modified),
        content=Content(
            source=escaped(folder.key), etag=folder.etag, size=folder.size, files=folder.files
        ),
        failure=failure,
    )


def read_folder(
    blobs: Blobs, content: Content, part: Callable[[str, bytes], T | Failure]
) -> list[tuple[str, T]] | Failure:
    """Its parts by their names below it, each as `part` reads it; the first that can't be read
    fails the whole. Raises BlobError where it isn't as it was seen."""
    key = content.source
    now = look(blobs, key, key)
    if now is None:
        raise BlobNotFound(f"{blobs.shown(key)} isn't there")
    if content.etag and now.etag != content.etag:
        raise BlobChanged(f"{blobs.shown(key)} has changed")
    found = [each for each in _parts(blobs, key) if isinstance(each, Blob)]
    texts: list[tuple[str, T]] = []
    contents = blobs.read_many([each.key for each in found], etags=[each.etag for each in found])
    for each, data in zip(found, contents, strict=True):
        name = each.key.removeprefix(key)
        if isinstance(data, BlobStoreUnavailable | BlobChanged | BlobNotFound):
            raise data
        if isinstance(data, BlobError):
            return Failure(type="unreadable", message=data.message, retryable=True)
        read = part(name, data)
        if isinstance(read, Failure):
            return Failure(
                type=read.type, message=f"{name}: {read.message}", retryable=read.retryable
            )
        texts.append((name, read))
    return texts
