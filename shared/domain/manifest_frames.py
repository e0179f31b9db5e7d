"""A stream of chunks cut into the bytes of single rows, in flat memory and wherever it is cut.

Rows are only found here, not understood: a scanner tells where the next one ends and keeps its
state from chunk to chunk; what is too long is passed over without being held.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

_COMMA: Final = ord(",")
_NEWLINE: Final = ord("\n")
_QUOTE: Final = ord('"')

_BLANKS: Final = re.compile(rb"[ \t\r\n]*")
_FIELD_END: Final = re.compile(rb"[,\n]")
_TOKEN: Final = re.compile(rb'["{}\[\],]')
_STRING_STOP: Final = re.compile(rb'["\\]')
_FLAT_OBJECT: Final = re.compile(
    rb'[ \t\r\n]*+\{[^{}\[\]"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^{}\[\]"]*+)*+\}[ \t\r\n]*+[,\]]',
    re.DOTALL,
)
"""An object without nested ones and the byte that ends it: most rows, found without a Python loop.
The possessive quantifiers keep it linear."""
_CSV_FIELD: Final = rb'(?:"[^"]*+(?:""[^"]*+)*+"[^,\n]*+|[^",\n][^,\n]*+|)'
_CSV_RECORD: Final = re.compile(_CSV_FIELD + rb"(?:," + _CSV_FIELD + rb")*+\n")


class Frame(NamedTuple):
    """The bytes between two ends, without the byte that ends them; `data` is None if too long."""

    offset: int
    line: int
    length: int
    breaks: int
    data: bytes | None
    ended: bool
    """False for the rest of a file, after which no end came."""


class Scanner(Protocol):
    """Finds the byte that ends a row; told each byte once, in order."""

    def find_end(self, buffer: bytearray, position: int) -> int:
        """Where the row ends, or -1 when it goes on behind the buffer, all of which is now seen."""
        ...


class Lines:
    """Every newline ends a row."""

    def find_end(self, buffer: bytearray, position: int) -> int:
        return buffer.find(b"\n", position)


class CsvRecords:
    """A newline outside quotes ends a row (RFC 4180); quotes count at the start of a field only."""

    def __init__(self) -> None:
        self._state = self._start
        self._fresh = True

    @property
    def inside_quotes(self) -> bool:
        return self._state == self._quoted

    def find_end(self, buffer: bytearray, position: int) -> int:
        if self._fresh:
            newline = buffer.find(b"\n", position)
            if newline >= 0 and buffer.find(b'"', position, newline) < 0:
                return newline
            record = _CSV_RECORD.match(buffer, position)
            if record is not None:
                return record.end() - 1
        self._fresh = False
        while 0 <= position < len(buffer):
            if buffer[position] == _NEWLINE and self._state != self._quoted:
                self._state, self._fresh = self._start, True
                return position
            position = self._state(buffer, position)
        return -1

    def _start(self, buffer: bytearray, position: int) -> int:
        if buffer[position] == _QUOTE:
            self._state = self._quoted
        elif buffer[position] != _COMMA:
            self._state = self._unquoted
        return position + 1

    def _unquoted(self, buffer: bytearray, position: int) -> int:
        found = _FIELD_END.search(buffer, position)
        if found is None:
            return -1
        if buffer[found.start()] == _NEWLINE:
            return found.start()
        self._state = self._start
        return found.end()

    def _quoted(self, buffer: bytearray, position: int) -> int:
        quote = buffer.find(b'"', position)
        if quote < 0:
            return -1
        self._state = self._after_quote
        return quote + 1

    def _after_quote(self, buffer: bytearray, position: int) -> int:
        match buffer[position]:
            case 0x22:
                self._state = self._quoted
            case 0x2C:
                self._state = self._start
            case _:
                self._state = self._unquoted
        return position + 1


class ArrayElements:
    """A comma outside strings and brackets ends an element, and so does the array's own bracket."""

    def __init__(self) -> None:
        self.closed = False
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._fresh = True

    @property
    def inside_element(self) -> bool:
        return self._depth > 0 or self._in_string

    def find_end(self, buffer: bytearray, position: int) -> int:
        if self.closed:
            return -1
        if self._fresh:
            flat = _FLAT_OBJECT.match(buffer, position)
            if flat is not None:
                return self._end(buffer, flat.end() - 1)
        self._fresh = False
        while 0 <= position < len(buffer):
            if self._in_string:
                position = self._string(buffer, position)
                continue
            found = _TOKEN.search(buffer, position)
            if found is None:
                return -1
            if self._is_end(buffer[found.start()]):
                return self._end(buffer, found.start())
            position = found.end()
        return -1

    def _string(self, buffer: bytearray, position: int) -> int:
        if self._escaped:
            self._escaped = False
            return position + 1
        found = _STRING_STOP.search(buffer, position)
        if found is None:
            return -1
        if buffer[found.start()] == _QUOTE:
            self._in_string = False
        else:
            self._escaped = True
        return found.end()

    def _is_end(self, token: int) -> bool:
        match chr(token):
            case '"':
                self._in_string = True
            case "{" | "[":
                self._depth += 1
            case "," | "]" if self._depth == 0:
                return True
            case "}" | "]" if self._depth > 0:
                self._depth -= 1
        return False

    def _end(self, buffer: bytearray, position: int) -> int:
        self.closed = buffer[position] != _COMMA
        self._fresh = True
        return position


def frames(
    chunks: Iterable[bytes], scanner: Scanner, *, offset: int, line: int, limit: int
) -> Iterator[Frame]:
    """Every row of the stream; the last one is the rest after which no end came, if any.

    Holds at most `limit` bytes of a row and a chunk.
    """
    buffer = bytearray()
    seen = dropped = dropped_breaks = 0
    for chunk in chunks:
        buffer += chunk
        start = 0
        while (end := scanner.find_end(buffer, seen)) >= 0:
            length = dropped + end - start
            breaks = dropped_breaks + buffer.count(b"\n", start, end)
            data = bytes(buffer[start:end]) if length <= limit else None
            yield Frame(offset, line, length, breaks, data, ended=True)
            offset += length + 1
            line += breaks + (buffer[end] == _NEWLINE)
            start = seen = end + 1
            dropped = dropped_breaks = 0
        del buffer[:start]
        if dropped + len(buffer) > limit:
            if not dropped:
                blanks = _leading_blanks(buffer)
                offset, line = offset + blanks, line + buffer.count(b"\n", 0, blanks)
                del buffer[:blanks]
            dropped, dropped_breaks = dropped + len(buffer), dropped_breaks + buffer.count(b"\n")
            buffer.clear()
        seen = len(buffer)
    if dropped or buffer:
        breaks = dropped_breaks + buffer.count(b"\n")
        data = None if dropped else bytes(buffer)
        yield Frame(offset, line, dropped + len(buffer), breaks, data, ended=False)


def trimmed(frame: Frame) -> Frame:
    """The same row without the blanks around it, its place moved with it."""
    if frame.data is None:
        return frame
    data = frame.data.strip(b" \t\r\n")
    if len(data) == len(frame.data):
        return frame
    blanks = _leading_blanks(frame.data)
    skipped_lines = frame.data.count(b"\n", 0, blanks)
    return Frame(
        offset=frame.offset + blanks,
        line=frame.line + skipped_lines,
        length=len(data),
        breaks=data.count(b"\n"),
        data=data,
        ended=frame.ended,
    )


def _leading_blanks(data: bytes | bytearray) -> int:
    found = _BLANKS.match(data)
    return found.end() if found else 0
