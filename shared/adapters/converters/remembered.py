"""What was converted is remembered on disk while a run goes on: a run looks at each document to say
what it may cost, and converts it anew when it sends it."""

import hashlib
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import msgspec

from shared.domain.attachment import Attachment
from shared.domain.kinds import Kind
from shared.domain.page_ranges import Paged, Room
from shared.ports.converter import Converted, Converter, Unconvertible

MOST_BYTES = 1_000_000_000
"""Of disk. What comes beyond it is converted each time."""

_MOST_FAULTS = 100_000
_encode = msgspec.msgpack.Encoder().encode

T = TypeVar("T")


class RememberingConverter:
    """`shared.ports.converter.Converter` that asks another one no question twice.

    The file has no name and goes with the process. A disk without room only makes it forget.
    """

    def __init__(
        self, converter: Converter, directory: Path, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._converter = converter
        self._directory = directory
        self._most = most_bytes
        self._file: BinaryIO | None = None
        self._places: dict[bytes, tuple[int, int]] = {}
        self._faults: dict[bytes, Unconvertible] = {}
        self._end = 0

    def convert(self, name: str, data: bytes, kind: Kind, *, most_pages: int) -> Converted:
        """Raises Unconvertible, the same for the same file."""
        key = hashlib.sha256(f"{kind}\0{most_pages}\0{name}\0".encode() + data).digest()
        return self._asked(
            key,
            Converted,
            lambda: self._converter.convert(name, data, kind, most_pages=most_pages),
        )

    def page_ranges(self, name: str, data: bytes, room: Room) -> Paged:
        """Raises Unconvertible, the same for the same file."""
        key = hashlib.sha256(f"{room}\0{name}\0".encode() + data).digest()
        return self._asked(key, Paged, lambda: self._converter.page_ranges(name, data, room))

    def cut_pdf(self, name: str, data: bytes, *, start: int, end: int) -> Attachment:
        """As the other one answers: a part is asked for once, when it is sent."""
        return self._converter.cut_pdf(name, data, start=start, end=end)

    def _asked(self, key: bytes, kind: type[T], ask: Callable[[], T]) -> T:
        if (fault := self._faults.get(key)) is not None:
            raise fault.again()
        if (known := self._read(key, kind)) is not None:
            return known
        try:
            found = ask()
        except Unconvertible as error:
            # Also one that may pass another time: in this run it would cost its time twice.
            if len(self._faults) < _MOST_FAULTS:
                self._faults[key] = error.again()
            raise
        self._write(key, _encode(found))
        return found

    def _open(self) -> BinaryIO:
        file = cast(
            "BinaryIO",
            tempfile.TemporaryFile(dir=self._directory),  # noqa: SIM115 - `finalize` closes
        )
        weakref.finalize(self, file.close)
        self._file = file
        return file

    def _read(self, key: bytes, kind: type[T]) -> T | None:
        place = self._places.get(key)
        if place is None or self._file is None:
            return None
        try:
            self._file.seek(place[0])
            return msgspec.msgpack.decode(self._file.read(place[1]), type=kind)
        except (OSError, msgspec.DecodeError):
            return None

    def _write(self, key: bytes, answer: bytes) -> None:
        if self._end + len(answer) > self._most:
            return
        try:
            file = self._file or self._open()
            file.seek(self._end)
            file.write(answer)
            file.flush()
        except OSError:
            return  # what is there of it is written over
        self._places[key] = (self._end, len(answer))
        self._end += len(answer)
