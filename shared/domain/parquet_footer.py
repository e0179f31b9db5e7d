"""The footer of a Parquet file: where row groups lie, and the footer of a file with one of them.

The library that reads Parquet reads a file from its beginning; given a footer that names one row
group, it reads that one. Nothing but the list of groups is changed. The format is in
https://github.com/apache/parquet-format, written in Thrift's compact protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.domain.manifest_row import InvalidManifest

TAIL_BYTES: Final = 8
MOST_FOOTER_BYTES: Final = 64_000_000
MOST_GROUP_BYTES: Final = 2_000_000_000
"""Unpacked bytes of a row group. It is read page by page, so this bounds time, not memory."""

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_DEPTH: Final = 24
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_ROW_GROUPS, _ENCRYPTION = 4, 8
_GROUP_BYTES, _GROUP_ROWS = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """`first` is the number of its first row, from 0."""

    first: int
    rows: int
    size: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a footer says. `before` and `behind` are its bytes around the list of groups."""

    data: bytes
    groups: tuple[RowGroup, ...]
    before: bytes
    behind: bytes

    def of(self, group: RowGroup) -> bytes:
        """The end of a file that has this row group alone, with its length and magic."""
        only = self.before + bytes([1 << 4 | _STRUCT]) + self.data[group.begin : group.end]
        data = only + self.behind
        return data + len(data).to_bytes(4, "little") + _MAGIC


def footer_size(tail: bytes, size: int) -> int:
    """How many bytes the footer has, by the last of a file of `size`. Raises InvalidManifest."""
    if tail.endswith(_ENCRYPTED):
        raise InvalidManifest("the Parquet file is encrypted; write it without encryption")
    if len(tail) < TAIL_BYTES or not tail.endswith(_MAGIC):
        raise InvalidManifest("it is no Parquet file, or its end is cut off")
    length = int.from_bytes(tail[-TAIL_BYTES:-4], "little")
    if length + TAIL_BYTES + len(_MAGIC) > size:
        raise InvalidManifest(
            "the Parquet file's footer doesn't lie in it: it is broken or cut off"
        )
    if length > MOST_FOOTER_BYTES:
        raise InvalidManifest(
            f"the Parquet file's footer has {length:,} bytes, more than {MOST_FOOTER_BYTES:,}; "
            "write fewer, larger row groups"
        )
    return length


def read_footer(data: bytes) -> Footer:
    """The footer, without its length and magic. Raises InvalidManifest."""
    try:
        return _Reader(data).footer()
    except (IndexError, RecursionError) as error:
        raise InvalidManifest("the Parquet file's footer is broken") from error


class _Reader:
    """Walks through Thrift's compact protocol; IndexError where it makes no sense."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def footer(self) -> Footer:
        groups: list[RowGroup] = []
        span = (0, 0)

        def field(number: int, kind: int) -> bool:
            nonlocal span
            if number == _ENCRYPTION:
                raise InvalidManifest(
                    "the Parquet file's columns are encrypted; write it without encryption"
                )
            if number != _ROW_GROUPS or kind != _LIST:
                return False
            begin = self._at
            first = 0
            for _ in range(self._list(_STRUCT)):
                group = self._group(first)
                first += group.rows
                groups.append(group)
            span = (begin, self._at)
            return True

        self._struct(field, 0)
        if span == (0, 0):
            raise IndexError
        return Footer(
            data=self._data,
            groups=tuple(groups),
            before=self._data[: span[0]],
            behind=self._data[span[1] :],
        )

    def _group(self, first: int) -> RowGroup:
        found = {_GROUP_BYTES: 0, _GROUP_ROWS: 0}
        begin = self._at

        def field(number: int, kind: int) -> bool:
            if number not in found or kind != _I64:
                return False
            value = self._number()
            found[number] = (value >> 1) ^ -(value & 1)
            return True

        self._struct(field, 1)
        rows, size = found[_GROUP_ROWS], found[_GROUP_BYTES]
        if rows < 0 or size < 0:
            raise IndexError
        if size > MOST_GROUP_BYTES:
            raise InvalidManifest(
                f"a row group of the Parquet file has {size:,} bytes, more than "
                f"{MOST_GROUP_BYTES:,}; write smaller ones"
            )
        return RowGroup(first=first, rows=rows, size=size, begin=begin, end=self._at)

    def _struct(self, field: Callable[[int, int], bool], depth: int) -> None:
        """Walk through a struct; `field` reads what it knows and says whether it did."""
        number = 0
        while (head := self._byte()) != 0:
            kind, delta = head & 15, head >> 4
            number = number + delta if delta else self._number() >> 1
            if not field(number, kind):
                self._skip(kind, depth + 1)

    def _list(self, kind: int) -> int:
        """The length of a list whose elements must be of that kind."""
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._number()
        if head & 15 != kind or count > len(self._data):
            raise IndexError
        return count

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _DEPTH:
            raise IndexError
        if kind in (_I16, _I32, _I64):
            self._number()
        elif kind == _BYTE:
            self._byte()
        elif kind == _DOUBLE:
            self._pass(8)
        elif kind == _BINARY:
            self._pass(self._number())
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._number()
            self._elements((head & 15,), count, depth)
        elif kind == _MAP:
            count = self._number()
            kinds = self._byte() if count else 0
            self._elements((kinds >> 4, kinds & 15), count, depth)
        elif kind == _STRUCT:
            self._struct(lambda _, __: False, depth)
        elif kind not in (_TRUE, _FALSE):  # those stand in the field's head
            raise IndexError

    def _elements(self, kinds: tuple[int, ...], count: int, depth: int) -> None:
        if count > len(self._data) - self._at:
            raise IndexError
        for _ in range(count):
            for kind in kinds:
                if kind in (_TRUE, _FALSE):
                    self._byte()
                else:
                    self._skip(kind, depth + 1)

    def _pass(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise IndexError
        self._at += size

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise IndexError
