"""The header of a CSV manifest: without one that names an `id` no row of the file is usable."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.domain.manifest_frames import Frame
from shared.domain.manifest_row import InvalidManifest, InvalidRow, Position, fields_of
from shared.domain.names import escaped

MAX_HEADER_BYTES: Final = 1_000_000
"""A CSV header longer than this is no header: the file has no line ends, or isn't CSV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvHeader:
    """The names of a CSV file's columns and where its rows begin."""

    names: tuple[str, ...]
    after: Position


def without_return(frame: Frame) -> Frame:
    """The row without the first half of a CRLF at its end."""
    if frame.data is None or not frame.data.endswith(b"\r"):
        return frame
    return frame._replace(data=frame.data[:-1], length=frame.length - 1)


def header_of(found: Iterator[Frame]) -> CsvHeader:
    """The first row that isn't blank, as the names of columns; raises `InvalidManifest`."""
    for raw in found:
        frame = without_return(raw)
        if frame.data == b"":
            continue
        if frame.data is None or frame.length > MAX_HEADER_BYTES:
            raise InvalidManifest("the CSV file's first row never ends; is it CSV?")
        return CsvHeader(
            names=_names(frame.data),
            after=Position(offset=frame.offset + frame.length, line=frame.line + frame.breaks),
        )
    raise InvalidManifest("the CSV file is empty; its first row must name the columns")


def _names(data: bytes) -> tuple[str, ...]:
    try:
        names = tuple(name.strip() for name in fields_of(data))
    except InvalidRow as error:
        raise InvalidManifest(f"the CSV file's header can't be read: {error.message}") from error
    if "id" not in names:
        shown = escaped(", ".join(names)[:120])
        raise InvalidManifest(f"the CSV file has no column `id` (separated by commas): {shown}")
    if "" in names:
        raise InvalidManifest(f"column {names.index('') + 1} of the CSV file has no name")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidManifest(f"the CSV file names a column twice: {escaped(repeated[0][:120])}")
    return names
