"""Compressed streams as streams of plain bytes, in pieces of bounded size whatever they hold."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from shared.domain.archive import ArchiveKind, BadArchive

PIECE_BYTES: Final = 1 << 20
_MEMORY: Final = 128 << 20
"""What an xz stream may ask for; `xz -9` takes 65 MiB."""


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's object with the manners of the others; it checks the checksum at the end."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _xz() -> _Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)


_NEW: Final[dict[ArchiveKind, Callable[[], _Unpacker]]] = {
    ArchiveKind.TAR_GZ: _Gzip,
    ArchiveKind.TAR_BZ2: bz2.BZ2Decompressor,
    ArchiveKind.TAR_XZ: _xz,
}


def plain(kind: ArchiveKind, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a `.tar…` holds once its compression is off. Raises BadArchive where that is broken."""
    new = _NEW.get(kind)
    if new is None:
        yield from chunks
        return
    unpacker: _Unpacker | None = None
    try:
        for chunk in chunks:
            data = chunk
            while data or (unpacker is not None and not unpacker.needs_input):
                if unpacker is None:
                    data = data.lstrip(b"\0")  # padding, as tapes have it
                    if not data:
                        break
                    unpacker = new()
                piece = unpacker.decompress(data, PIECE_BYTES)
                data = b""
                if piece:
                    yield piece
                if unpacker.eof:  # another stream may follow
                    data, unpacker = unpacker.unused_data, None
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise BadArchive(f"its {kind.value.rpartition('.')[2]} compression is broken") from error
    except MemoryError as error:
        raise BadArchive("unpacking it takes too much memory") from error
    if unpacker is not None:
        raise BadArchive("its end is cut off")
