"""Tar archives as a stream of members: headers by the standard library, bytes in bounded pieces."""

import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from shared.domain.archive import BadArchive, Member, Sort

_HEADER_BYTES: Final = 1 << 20
"""What all headers of one member may have: a long name, extended attributes."""

_BLOCK: Final = 512


class Forward:
    """A stream as a file that only moves forward. `position` is where it stands."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = memoryview(b"")
        self.position = 0

    def take(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes, as they come; fewer at the end."""
        while size > 0:
            if not self._held:
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._held = memoryview(piece)
                continue
            part = self._held[:size]
            self._held = self._held[len(part) :]
            self.position += len(part)
            size -= len(part)
            yield part

    def drain(self) -> None:
        """Read on to the end, where a checksum may be wrong."""
        for piece in chain((self._held,), self._pieces):
            self.position += len(piece)
        self._held = memoryview(b"")

    def skip_to(self, position: int) -> bool:
        """Move on; whether there is so much."""
        for _ in self.take(position - self.position):
            pass
        return self.position == position


class _Headers:
    """What tarfile is given: it reads headers, and nothing long."""

    def __init__(self, stream: Forward) -> None:
        self._stream = stream
        self.last = b""
        self.room = _HEADER_BYTES

    def read(self, size: int) -> bytes:
        self.room -= size
        if self.room < 0:
            raise BadArchive("a header in it is longer than a header may be")
        self.last = b"".join(self._stream.take(size))
        return self.last

    def seek(self, position: int) -> int:
        if position < self._stream.position:
            raise BadArchive("its headers don't follow each other: it is broken")
        self._stream.skip_to(position)
        return position

    def tell(self) -> int:
        return self._stream.position


def members(stream: Forward) -> Iterator[Member]:
    """The members in their order. Each is there to be read from the stream until the next is asked
    for. Raises BadArchive where the archive ends before it should, or isn't one."""
    headers = _Headers(stream)
    number = 0
    try:
        tar = tarfile.TarFile(
            fileobj=headers,  # type: ignore[arg-type] # it asks for nothing else
            encoding="utf-8",
            errors="surrogateescape",
        )
        while (found := tar.next()) is not None:
            vars(tar)["members"] = []  # kept for nobody, and without bounds
            number += 1
            headers.room = _HEADER_BYTES
            yield _member(number, found)
    except tarfile.TarError as error:
        where = f" behind member {number}" if number else ""
        raise BadArchive(f"it is no tar archive, or broken{where}") from error
    except BadArchive:
        raise
    except (ValueError, OverflowError, RecursionError) as error:
        raise BadArchive(f"a header in it is broken, behind member {number}") from error
    if len(headers.last) < _BLOCK:
        raise BadArchive(f"its end is cut off, behind member {number}")
    if headers.last.strip(b"\0"):
        raise BadArchive(f"a header in it is broken, behind member {number}")
    stream.drain()


def _member(number: int, found: tarfile.TarInfo) -> Member:
    if found.isdir():
        sort = Sort.FOLDER
    elif found.issym() or found.islnk():
        sort = Sort.LINK
    else:
        sort = Sort.FILE if found.isreg() else Sort.SPECIAL
    fault = None
    if sort is Sort.FILE and found.issparse():
        fault = "it is a sparse file; pack it without --sparse"
    size = found.size if sort is Sort.FILE and fault is None else 0
    name = found.name.removeprefix("./")
    try:
        name.encode()
    except UnicodeEncodeError:
        name = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        fault = "its name isn't UTF-8"
    return Member(
        number=number,
        name=name,
        sort=sort,
        offset=found.offset_data,
        length=size,
        size=size,
        fault=fault,
    )
