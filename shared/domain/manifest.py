"""A manifest: one document a row, read as a stream of bytes that may be left and taken up again.

A broken row is named and passed over; only what makes every row unreadable stops the reading.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from shared.domain.manifest_csv import MAX_HEADER_BYTES, CsvHeader, header_of, without_return
from shared.domain.manifest_frames import ArrayElements, CsvRecords, Frame, Lines, frames, trimmed
from shared.domain.manifest_row import (
    BrokenRow,
    Columns,
    InvalidManifest,
    InvalidRow,
    ManifestKind,
    Position,
    Row,
    Value,
    parse_row,
    row_id,
    row_text,
)
from shared.domain.names import escaped

__all__ = [
    "MAX_ROW_BYTES",
    "BrokenRow",
    "Columns",
    "CsvHeader",
    "InvalidManifest",
    "InvalidRow",
    "ManifestKind",
    "Position",
    "Row",
    "Value",
    "looks_like_array",
    "manifest_kind",
    "parse_row",
    "read_header",
    "row_id",
    "row_text",
    "rows",
]

MAX_ROW_BYTES: Final = 32_000_000
"""What is held of one row at most; above any model's context."""

_UTF8_BOM: Final = b"\xef\xbb\xbf"
_OTHER_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_LONGEST_BOM: Final = 4
_CUT_OFF: Final = "the file ends before its array does: it is cut off"
_NOT_BLANK: Final = re.compile(rb"[^ \t\r\n]")


def manifest_kind(name: str, *, named_directly: bool) -> ManifestKind | None:
    """What manifest the file of this name is, or None for a document.

    A `.csv` or `.json` found in a folder or bucket is one only when it says so in its name.
    """
    base = name.rsplit("/", 1)[-1].lower()
    stem, dot, extension = base.rpartition(".")
    match extension if dot else "":
        case "jsonl" | "parquet":
            return ManifestKind(extension)
        case "json" | "csv" if named_directly or stem.rpartition(".")[2] == "manifest":
            return ManifestKind(extension)
        case _:
            return None


def row_word(source: str) -> str:
    """What the number of a row counts in this manifest: Parquet has no lines."""
    return "row" if source.lower().endswith(".parquet") else "line"


def looks_like_array(first_bytes: bytes) -> bool:
    """Whether a `.json` named by the user begins like a manifest; otherwise it is a document."""
    return first_bytes.removeprefix(_UTF8_BOM).lstrip()[:1] == b"["


def rows(
    kind: ManifestKind,
    chunks: Iterable[bytes],
    *,
    offset: int = 0,
    line: int = 1,
    header: Sequence[str] | None = None,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> Iterator[Row | BrokenRow]:
    """The rows of a manifest in their order; memory stays at a chunk and `max_row_bytes`.

    To resume, pass `offset` and `line` of any row's `after`, or of a good row to begin with it, the
    chunks from that byte on and, for CSV, the header's names. Raises `InvalidManifest` at the
    first step when no row can be read. Whether ids repeat is for the caller to find out.
    """
    start = Position(offset=offset, line=line)
    if offset == 0:
        chunks, start = _without_bom(chunks, start)
    match kind:
        case ManifestKind.JSONL:
            yield from _line_rows(chunks, start, max_row_bytes)
        case ManifestKind.CSV:
            yield from _csv_rows(chunks, start, max_row_bytes, header)
        case ManifestKind.JSON:
            yield from _array_rows(chunks, start, max_row_bytes, opened=offset > 0)
        case ManifestKind.PARQUET:
            raise ValueError("Parquet isn't read as a stream")


def read_header(chunks: Iterable[bytes]) -> CsvHeader:
    """The header of the CSV file that begins with these chunks; raises `InvalidManifest`."""
    chunks, start = _without_bom(chunks, Position(offset=0, line=1))
    found = frames(chunks, CsvRecords(), offset=start.offset, line=1, limit=MAX_HEADER_BYTES)
    return header_of(found)


def _line_rows(chunks: Iterable[bytes], start: Position, limit: int) -> Iterator[Row | BrokenRow]:
    found = frames(chunks, Lines(), offset=start.offset, line=start.line, limit=limit)
    for frame in found:
        if frame.data is None or frame.data.strip():
            yield _row(ManifestKind.JSONL, without_return(frame), None, limit)


def _csv_rows(
    chunks: Iterable[bytes], start: Position, limit: int, header: Sequence[str] | None
) -> Iterator[Row | BrokenRow]:
    scanner = CsvRecords()
    found = frames(chunks, scanner, offset=start.offset, line=start.line, limit=limit)
    at_top = start.line == 1 and start.offset <= len(_UTF8_BOM)
    if at_top:
        header = header_of(found).names
    elif header is None:
        raise ValueError("reading a CSV file from the middle needs its header")
    for raw in found:
        frame = without_return(raw)
        if not frame.ended and scanner.inside_quotes:
            why = "a quote opened in this row is never closed, so it takes up the rest of the file"
            yield _broken(frame, "invalid_row", why)
        elif frame.data != b"":
            yield _row(ManifestKind.CSV, frame, header, limit)


def _array_rows(
    chunks: Iterable[bytes], start: Position, limit: int, *, opened: bool
) -> Iterator[Row | BrokenRow]:
    if not opened:
        chunks, start, fault = _opened(chunks, start)
        if fault is not None:
            yield fault
            return
    scanner = ArrayElements()
    end = start
    first = True
    for raw in frames(chunks, scanner, offset=start.offset, line=start.line, limit=limit):
        frame = trimmed(raw)
        end = Position(offset=raw.offset + raw.length + raw.ended, line=raw.line + raw.breaks)
        if not frame.ended:
            yield from _array_end(scanner, frame, end, limit)
            return
        if frame.data == b"":
            # Nothing stands in `[]`, nor between a row and the comma when reading goes on there.
            if not first or not (opened or scanner.closed):
                yield _broken(frame, "invalid_row", "there is no row before this comma or bracket")
        else:
            yield _row(ManifestKind.JSON, frame, None, limit)
        first = False
    if not scanner.closed:
        yield _not_an_array(end, _CUT_OFF)


def _array_end(
    scanner: ArrayElements, frame: Frame, end: Position, limit: int
) -> Iterator[Row | BrokenRow]:
    """What stands after the last end: blanks, a row of a file that is cut off, or something odd."""
    if scanner.closed:
        if frame.data != b"":
            yield _broken(frame, "invalid_manifest", "there is text behind the end of the array")
    elif scanner.inside_element:
        yield _broken(frame, "invalid_manifest", _CUT_OFF)
    else:
        if frame.data != b"":
            yield _row(ManifestKind.JSON, frame, None, limit)
        yield _not_an_array(end, _CUT_OFF)


def _not_an_array(place: Position, why: str) -> BrokenRow:
    return BrokenRow(
        line=place.line, type="invalid_manifest", message=why, offset=place.offset, length=0
    )


def _row(
    kind: ManifestKind, frame: Frame, header: Sequence[str] | None, limit: int
) -> Row | BrokenRow:
    if frame.data is None:
        why = f"the row is {frame.length} bytes long; at most {limit} are read"
        return _broken(frame, "row_too_large", why)
    try:
        columns = parse_row(kind, frame.data, header)
        return Row(
            id=row_id(columns),
            line=frame.line,
            offset=frame.offset,
            length=frame.length,
            columns=columns,
            breaks=frame.breaks,
        )
    except InvalidRow as error:
        return _broken(frame, error.type, error.message)


def _broken(frame: Frame, fault: str, message: str) -> BrokenRow:
    if frame.breaks:
        message = f"{message} (lines {frame.line} to {frame.line + frame.breaks})"
    return BrokenRow(
        line=frame.line,
        type=fault,
        message=escaped(message),
        offset=frame.offset,
        length=frame.length,
        breaks=frame.breaks,
    )


def _without_bom(chunks: Iterable[bytes], start: Position) -> tuple[Iterator[bytes], Position]:
    """The stream behind its byte order mark; any other encoding than UTF-8 is refused."""
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= _LONGEST_BOM:
            break
    if head.startswith(_OTHER_BOMS):
        raise InvalidManifest("the manifest is written in UTF-16 or UTF-32; save it as UTF-8")
    if head.startswith(_UTF8_BOM):
        head = head[len(_UTF8_BOM) :]
        start = Position(offset=len(_UTF8_BOM), line=start.line)
    return chain((head,), rest), start


def _opened(
    chunks: Iterable[bytes], start: Position
) -> tuple[Iterator[bytes], Position, BrokenRow | None]:
    """The stream behind the `[` of its array, or what stands there instead."""
    rest = iter(chunks)
    offset, line = start.offset, start.line
    for chunk in rest:
        found = _NOT_BLANK.search(chunk)
        blanks = found.start() if found else len(chunk)
        offset, line = offset + blanks, line + chunk.count(b"\n", 0, blanks)
        if found is None:
            continue
        if found[0] != b"[":
            break
        behind = chain((chunk[blanks + 1 :],), rest)
        return behind, Position(offset=offset + 1, line=line), None
    place = Position(offset=offset, line=line)
    return rest, place, _not_an_array(place, "the JSON file is not an array of objects")
