"""Places that hold documents or reports under keys: a folder or a bucket.

Adapters: `shared.adapters.folder_blobs` and `shared.adapters.s3_blobs`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from shared.domain.record import Record


class BlobError(Exception):
    """One blob could not be had. `message` is one line that names it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BlobNotFound(BlobError):
    """No such key."""


class BlobUnreadable(BlobError):
    """The key is there and its content can't be had (permissions, a damaged disk)."""


class BlobChanged(BlobError):
    """The content is another than the one asked for by its etag."""


class BlobStoreUnavailable(BlobError):
    """The place itself doesn't answer now, or has no room; trying later may help."""


class Blob(Record, frozen=True, kw_only=True):
    """What is known of a blob without its content. `etag` differs when the content does."""

    key: str
    size: int
    etag: str
    modified: datetime


class Unlisted(Record, frozen=True, kw_only=True):
    """Something that is there and can't be read. A key that ends in `/` is a folder with all that
    it holds. `message` is one line."""

    key: str
    message: str


class Blobs(Protocol):
    """Keys are `/`-separated text; a write is whole or not at all."""

    def shown(self, key: str) -> str:
        """Where that is, as a person would say it; one line."""

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Blob | Unlisted]:
        """Every blob whose key begins with `prefix` and sorts behind `after`, by key."""

    def stat(self, key: str) -> Blob:
        """Look at one blob. Raises BlobNotFound, BlobUnreadable or BlobStoreUnavailable."""

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        """What `stat` says of each, in the order asked for; several are looked at at once where
        each takes its time."""

    def exists(self, key: str) -> bool:
        """Whether a blob is there. Raises BlobStoreUnavailable."""

    def obstacle(self, key: str, *, ours: bytes = b"") -> str | None:
        """What is in the way of writing a blob there, as one line; None when nothing is.

        A blob that is there and doesn't begin with `ours` is somebody's. Raises
        BlobStoreUnavailable.
        """

    def read(self, key: str) -> bytes:
        """The content of one blob. Raises like `stat`."""

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        """The content of each, in the order asked for, read ahead within bounded memory.

        With `etags`, one for each key, what has changed since is BlobChanged; an empty etag
        matches anything.
        """

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        """The content from `offset` in large pieces. Raises like `stat`, and BlobChanged."""

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Write each whole, replacing what is there; all are there when this returns.

        Raises BlobUnreadable where one key can't be written, BlobStoreUnavailable otherwise.
        """

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        """Write one blob of any size whole, its pieces taken as they come. Raises like
        `write_many`; when a piece can't be had, that error is raised and nothing is written."""

    def delete(self, key: str) -> None:
        """Remove one blob; nothing happens when it isn't there."""


def stat_each(blobs: Blobs, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
    """`stat_many`, one after the other."""
    found: list[Blob | BlobError] = []
    for key in keys:
        try:
            found.append(blobs.stat(key))
        except BlobError as error:
            found.append(error)
    return found


def somebodys(blobs: Blobs, key: str, ours: bytes) -> str | None:
    """That what lies at `key` doesn't begin with `ours`, as `obstacle` says it; None if it does."""
    try:
        beginning = next(iter(blobs.chunks(key)), b"")
    except BlobNotFound:
        return None
    except BlobUnreadable as error:
        return error.message
    if beginning.startswith(ours):
        return None
    return f"{blobs.shown(key)} is there, and not docmill's"
