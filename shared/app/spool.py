"""A batch's body on disk: built once, as a stream, and read as often as it must be sent."""

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from shared.domain.bitmap import Bitmap

_BEFORE = b'{"requests":['
_AFTER = b"]}"
FRAME_BYTES = len(_BEFORE) + len(_AFTER)
"""What a body has around its requests."""

_PIECE = 1 << 20


class Spool:
    """Requests in the order added; each keeps its place, so some can be left out in the end.

    `reserved` bytes count as taken, for a body that must stay smaller than others.
    The file has no name and goes with the process, however that ends. A full disk raises OSError
    from `add`, before anything is submitted.
    """

    def __init__(self, directory: Path, *, reserved: int = 0) -> None:
        self._file = cast(
            "BinaryIO",
            tempfile.TemporaryFile(dir=directory, buffering=_PIECE),  # noqa: SIM115 - `__exit__` closes
        )
        self._ends = array("Q")
        self._reserved = reserved

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def size(self) -> int:
        """Bytes of the body, were it sent whole, and what is reserved."""
        inner = self._ends[-1] if self._ends else 0
        return self._reserved + len(_BEFORE) + inner + len(_AFTER)

    def add(self, request: bytes) -> None:
        """Append one encoded request."""
        self._file.write(request + b",")
        end = self._ends[-1] if self._ends else 0
        self._ends.append(end + len(request) + 1)

    def body(self, excluded: Bitmap) -> "SpooledBody":
        """The body without the places in `excluded`; at least one must be left."""
        self._file.flush()
        spans: list[tuple[int, int]] = []
        start = 0
        for place, end in enumerate(self._ends):
            if place not in excluded:
                if spans and spans[-1][1] == start:
                    spans[-1] = (spans[-1][0], end)
                else:
                    spans.append((start, end))
            start = end
        if not spans:
            raise ValueError("a batch without requests can't be sent")
        return SpooledBody(self._file, spans)


class SpooledBody:
    """`shared.ports.batch_api.Body` over the spool's file."""

    def __init__(self, file: BinaryIO, spans: list[tuple[int, int]]) -> None:
        self._file = file
        last_start, last_end = spans[-1]
        self._spans = [*spans[:-1], (last_start, last_end - 1)]  # no comma after the last request

    @property
    def length(self) -> int:
        """Bytes in all."""
        inner = sum(end - start for start, end in self._spans)
        return len(_BEFORE) + inner + len(_AFTER)

    def chunks(self) -> Iterator[bytes]:
        """The body from its beginning."""
        yield _BEFORE
        for start, end in self._spans:
            self._file.seek(start)
            left = end - start
            while left:
                piece = self._file.read(min(left, _PIECE))
                left -= len(piece)
                yield piece
        yield _AFTER
