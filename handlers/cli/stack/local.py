"""What lies in the inputs of `drop`: names first, contents when they are sent.

Names follow the rules of `docmill run`; the walk is the same one. Memory: the names of one folder
per level, and the files that were named one by one.
"""

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handlers.cli.faults import Fault
from handlers.cli.inputs import Inputs, in_folder, key_of
from shared.adapters.folder_blobs import FolderBlobs
from shared.app.sightings import is_document
from shared.domain.manifest import looks_like_array, manifest_kind
from shared.domain.manifest_row import ManifestKind
from shared.domain.names import InvalidName, check_path, escaped
from shared.ports.blobs import Blob, BlobError, Unlisted

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A file: the key to read it by, and the path it gets below its job."""

    source: str
    path: str
    size: int
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much there is to send."""

    files: int
    bytes: int
    first: str
    last: str


class NamesOnly(FolderBlobs):
    """Folders that are listed without a file being read: it is opened, so that what can't be read
    shows, and its content is compared when it is sent."""

    def _etag(self, file: int, status: os.stat_result) -> str:
        del file, status
        return ""


def files_of(inputs: Inputs) -> NamesOnly:
    """The file system, as far as these inputs lead into it."""
    return NamesOnly(Path("/"), within=inputs.folders)


def walk(blobs: NamesOnly, inputs: Inputs, group: str | None) -> Iterator[Local]:
    """Every file that is meant to be a document, by its path below the job."""
    below = f"{group}/" if group else ""
    found = [_in_folder(blobs, folder, below) for folder in inputs.folders]
    named = sorted((_named(blobs, file, below) for file in inputs.files), key=_path)
    return heapq.merge(*found, iter(named), key=_path)


def check(found: Iterator[Local]) -> Extent:
    """Look through all names. Raises Fault where one can't be taken, before anything is sent."""
    count = volume = faults = 0
    first = last = ""
    shown: list[str] = []
    for each in found:
        fault = each.fault or _fault(each.path)
        if fault is None and count and each.path == last:
            fault = f"there are two files for {each.path}; one would take the other's place"
        if fault is not None:
            faults += 1
            if len(shown) < _SHOWN:
                shown.append(fault)
        first = first if count else each.path
        last = each.path
        count += 1
        volume += each.size
    if faults:
        more = f"; and {faults - len(shown):,} more" if faults > len(shown) else ""
        raise Fault(f"nothing was uploaded: {'; '.join(shown)}{more}")
    return Extent(files=count, bytes=volume, first=first, last=last)


def _path(found: Local) -> str:
    return found.path


def _fault(path: str) -> str | None:
    try:
        check_path(path)
    except InvalidName as error:
        return error.message
    return None


def _in_folder(blobs: NamesOnly, folder: Path, below: str) -> Iterator[Local]:
    return (_local(found, below + path) for found, path in in_folder(blobs, folder))


def _local(found: Blob | Unlisted, path: str) -> Local:
    if isinstance(found, Unlisted):
        return Local(source=found.key, path=path, size=0, fault=found.message)
    return Local(source=found.key, path=path, size=found.size)


def _named(blobs: NamesOnly, file: Path, below: str) -> Local:
    """A file named by itself, whose name says in a bucket, too, that it is a manifest."""
    key, name = key_of(file), file.name
    try:
        found = blobs.stat(key)
        if _is_manifest_here_only(blobs, key, name):
            stem, _, extension = name.rpartition(".")
            name = f"{stem}.manifest.{extension}"
    except BlobError as error:
        return Local(source=key, path=below + name, size=0, fault=error.message)
    if not is_document(name):
        return Local(source=key, path=below + name, size=0, fault=_no_document(name))
    return _local(found, below + name)


def _no_document(name: str) -> str:
    return f"{escaped(name)} is no document: hidden, a recipe (see --recipe) or a marker (--ready)"


def _is_manifest_here_only(blobs: NamesOnly, key: str, name: str) -> bool:
    kind = manifest_kind(name, named_directly=True)
    if kind is None or manifest_kind(name, named_directly=False) is not None:
        return False
    return kind is not ManifestKind.JSON or looks_like_array(next(blobs.chunks(key), b""))


def folders_with_documents(found: Iterator[Local]) -> Iterator[str]:
    """Each folder that a file lies in directly, once, as the walk leaves it. Memory: its depth."""
    open_folders: list[tuple[str, bool]] = [("", False)]
    for each in found:
        folder = each.path.rpartition("/")[0]
        while open_folders[-1][0] and not _holds(open_folders[-1][0], folder):
            name, has_files = open_folders.pop()
            if has_files:
                yield name
        while open_folders[-1][0] != folder:
            above = open_folders[-1][0]
            rest = folder[len(above) :].lstrip("/")
            open_folders.append((f"{above}/{rest.split('/')[0]}".lstrip("/"), False))
        open_folders[-1] = (folder, True)
    for name, has_files in reversed(open_folders):
        if has_files:
            yield name


def _holds(folder: str, other: str) -> bool:
    return other == folder or other.startswith(f"{folder}/")
