"""A bucket in memory, and the bucket as one run has it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobError,
    BlobNotFound,
    Blobs,
    BlobUnreadable,
    Unlisted,
    somebodys,
    stat_each,
)
from tests.world.gate import Gate
from tests.world.reports import is_report
from tests.world.weather import (
    BLOB_FAULTS,
    BLOB_OVERWRITE_FAULTS,
    BLOB_READ_FAULTS,
    BLOB_WRITE_FAULTS,
)

_PIECE = 64


@dataclass(slots=True)
class MemoryBlobs:
    """What S3 does, as far as the port shows it.

    Etags are of the content, and with `by_upload` of when it came as well, as those of uploads in
    parts may be.
    """

    clock: Callable[[], datetime]
    by_upload: bool = False
    _held: dict[str, tuple[bytes, Blob]] = field(default_factory=dict)

    def shown(self, key: str) -> str:
        return f"bucket/{key}"

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Blob | Unlisted]:
        found = sorted(key for key in self._held if key.startswith(prefix) and key > after)
        return iter([self._held[key][1] for key in found])

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        return stat_each(self, keys)

    def exists(self, key: str) -> bool:
        return key in self._held

    def obstacle(self, key: str, *, ours: bytes = b"") -> str | None:
        return somebodys(self, key, ours) if ours and key in self._held else None

    def stat(self, key: str) -> Blob:
        return self._found(key)[1]

    def read(self, key: str) -> bytes:
        return self._found(key)[0]

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        for key, etag in zip(keys, etags or [""] * len(keys), strict=True):
            try:
                data = self.read(key)
            except BlobError as error:
                yield error
                continue
            changed = etag and self.stat(key).etag != etag
            yield BlobChanged(f"{key} has changed") if changed else data

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        at = offset
        while True:
            data, blob = self._found(key)
            if etag is not None and blob.etag != etag:
                raise BlobChanged(f"{key} has changed")
            etag = blob.etag
            piece = data[at : at + _PIECE]
            if not piece:
                return
            yield piece
            at += len(piece)

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        for key, data in items:
            now = self.clock()
            salt = now.isoformat().encode() if self.by_upload else b""
            etag = hashlib.blake2b(data + salt, digest_size=8).hexdigest()
            self._held[key] = (data, Blob(key=key, size=len(data), etag=etag, modified=now))

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        self.write_many([(key, b"".join(pieces))])

    def delete(self, key: str) -> None:
        self._held.pop(key, None)

    def _found(self, key: str) -> tuple[bytes, Blob]:
        try:
            return self._held[key]
        except KeyError:
            raise BlobNotFound(f"{key} is not there") from None


def _nothing(key: str, data: bytes) -> None:
    """Nobody watches."""


@dataclass(slots=True, kw_only=True)
class FaultyBlobs:
    """Every call, every object read ahead, every piece and every write passes the gate."""

    inner: Blobs
    gate: Gate
    name: str
    watch: Callable[[str, bytes], None] = _nothing
    watch_refused: Callable[[str, bytes], None] = _nothing

    def shown(self, key: str) -> str:
        return self.inner.shown(key)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Blob | Unlisted]:
        found = self.gate.call(
            f"{self.name}.list",
            BLOB_FAULTS,
            lambda: list(self.inner.list(prefix, after=after)),
            prefix,
        )
        return iter(found)

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        return stat_each(self, keys)

    def exists(self, key: str) -> bool:
        return self.gate.call(
            f"{self.name}.exists", BLOB_FAULTS, lambda: self.inner.exists(key), key
        )

    def obstacle(self, key: str, *, ours: bytes = b"") -> str | None:
        return self.inner.obstacle(key, ours=ours)

    def stat(self, key: str) -> Blob:
        return self.gate.call(f"{self.name}.stat", BLOB_FAULTS, lambda: self.inner.stat(key), key)

    def read(self, key: str) -> bytes:
        return self.gate.call(f"{self.name}.read", BLOB_FAULTS, lambda: self.inner.read(key), key)

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        for key, etag in zip(keys, etags or [""] * len(keys), strict=True):
            try:
                yield self.gate.call(
                    f"{self.name}.read_many", BLOB_READ_FAULTS, partial(self._one, key, etag), key
                )
            except BlobError as error:
                yield error

    def _one(self, key: str, etag: str) -> bytes | BlobError:
        return next(iter(self.inner.read_many([key], etags=[etag])))

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        pieces = self.inner.chunks(key, etag=etag, offset=offset)
        while True:
            piece = self.gate.call(
                f"{self.name}.chunks", BLOB_FAULTS, lambda: next(pieces, b""), key, offset
            )
            if not piece:
                return
            yield piece

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        for key, data in items:
            self._write(key, data)

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        self._write(key, b"".join(pieces))

    def _write(self, key: str, data: bytes) -> None:
        def effect() -> None:
            self.inner.write_many([(key, data)])
            self.watch(key, data)

        faults = BLOB_WRITE_FAULTS if is_report(key) else BLOB_OVERWRITE_FAULTS
        try:
            self.gate.call(f"{self.name}.write", faults, effect, key, data)
        except BlobUnreadable:
            self.watch_refused(key, data)
            raise

    def delete(self, key: str) -> None:
        self.gate.call(f"{self.name}.delete", BLOB_FAULTS, lambda: self.inner.delete(key), key)
