"""Reads ranges of blobs; ranges that lie in order are read as one stream."""

from typing import TYPE_CHECKING

from shared.ports.blobs import BlobChanged, Blobs

if TYPE_CHECKING:
    from collections.abc import Iterator

_SKIP_AT_MOST = 8_000_000


class Ranges:
    """The bytes of one blob at a time, as it was under an etag."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._open: tuple[str, str] | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._buffer = bytearray()
        self._start = 0

    def read(self, source: str, etag: str, offset: int, length: int) -> bytes:
        """Exactly these bytes. Raises BlobError."""
        end = self._start + len(self._buffer)
        if self._open != (source, etag) or not self._start <= offset <= end + _SKIP_AT_MOST:
            self._open = None
            self._chunks = self._blobs.chunks(source, etag=etag, offset=offset)
            self._buffer.clear()
            self._start = offset
            self._open = (source, etag)
        while self._start + len(self._buffer) < offset + length:
            piece = next(self._chunks, None)
            if piece is None:
                raise BlobChanged(f"{source} is shorter than it was")
            self._buffer += piece
            if self._start + len(self._buffer) <= offset:
                self._start += len(self._buffer)
                self._buffer.clear()
        drop = offset - self._start
        if drop:
            del self._buffer[:drop]
            self._start = offset
        return bytes(self._buffer[:length])
