"""Parquet as a manifest: rows by their number, read page by page from wherever the file lies.

The library, 34 MB, is imported once there is a file for it.
"""

import base64
import io
import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from shared.domain.manifest import MAX_ROW_BYTES
from shared.domain.manifest_row import BrokenRow, Columns, InvalidManifest, InvalidRow, Row, row_id
from shared.domain.parquet_footer import TAIL_BYTES, Footer, RowGroup, footer_size, read_footer
from shared.ports.blobs import Blob, BlobError, Blobs

_BLOCK_BYTES: Final = 4 << 20
_BLOCKS: Final = 16
"""What is held of a file: columns of a row group lie apart and are read in turns."""

_BATCH_BYTES: Final = 8_000_000
_BATCH_ROWS: Final = 1024

_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode


class ParquetFile:
    """One version of a Parquet file."""

    def __init__(self, blobs: Blobs, key: str, *, etag: str, size: int) -> None:
        self._bytes = _Blocks(blobs, key, etag, size)
        tail = self._bytes.read_at(size - TAIL_BYTES, TAIL_BYTES) if size >= TAIL_BYTES else b""
        length = footer_size(tail, size)
        self._footer: Footer = read_footer(self._bytes.read_at(size - TAIL_BYTES - length, length))
        self._firsts = [group.first for group in self._footer.groups]

    def rows(self, start: int) -> Iterator[tuple[int, Columns]]:
        """Each row with its number, from 1, beginning with number `start`. Raises InvalidManifest
        where the file is broken."""
        begin = max(bisect_right(self._firsts, start - 1) - 1, 0)
        for group in self._footer.groups[begin:]:
            number = group.first
            for batch in self._batches(group):
                if number + batch.num_rows < start:
                    number += batch.num_rows
                    continue
                for columns in _rows(batch):
                    number += 1
                    if number >= start:
                        yield number, columns

    def _batches(self, group: RowGroup) -> Iterator[Any]:
        from arro3.io import read_parquet  # noqa: PLC0415 - see above

        if not group.rows:
            return
        fit = _BATCH_BYTES * group.rows // max(group.size, 1)
        file = _WithFooter(self._bytes, self._footer.of(group))
        try:
            rows = max(1, min(fit, _BATCH_ROWS))
            yield from read_parquet(file, batch_size=rows)  # type: ignore[arg-type] # it reads, seeks
        except BlobError:
            raise
        except BaseException as error:
            if file.error is not None:
                raise file.error from error
            # A panic of the library's is no Exception, and its class can't be imported.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise InvalidManifest(
                f"the Parquet file is broken in rows {group.first + 1:,} to "
                f"{group.first + group.rows:,}"
            ) from error


class ParquetRows:
    """Reads rows by their numbers; those that lie in order are read as one stream."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._open: tuple[str, str] | None = None
        self._next = 1
        self._rows: Iterator[tuple[int, Columns]] = iter(())
        self._file: ParquetFile | None = None

    def read(self, source: str, etag: str, number: int) -> Columns:
        """The columns of a row. Raises BlobError, InvalidManifest or InvalidRow."""
        if self._open != (source, etag) or self._file is None:
            size = self._blobs.stat(source).size
            self._open = None
            self._file = ParquetFile(self._blobs, source, etag=etag, size=size)
            self._open = (source, etag)
            self._next = 0
        if not self._next or not self._next <= number <= self._next + _BATCH_ROWS:
            self._rows = self._file.rows(number)
        self._next = 0
        for found, columns in self._rows:
            if found == number:
                self._next = number + 1
                return columns
        raise InvalidRow("invalid_row", "the row isn't there")


def parquet_rows(blobs: Blobs, blob: Blob, *, start: int = 1) -> Iterator[Row | BrokenRow]:
    """The rows of a manifest, as those of any other. Raises InvalidManifest or BlobError."""
    file = ParquetFile(blobs, blob.key, etag=blob.etag, size=blob.size)
    for number, columns in file.rows(start):
        length = len(_ENCODE(columns))
        try:
            yield Row(
                id=_id(columns, length),
                line=number,
                offset=number,
                length=length,
                columns=columns,
            )
        except InvalidRow as error:
            yield BrokenRow(
                line=number, type=error.type, message=error.message, offset=number, length=length
            )


def _id(columns: Columns, length: int) -> str:
    if length > MAX_ROW_BYTES:
        why = f"the row is {length} bytes long; at most {MAX_ROW_BYTES} are read"
        raise InvalidRow("row_too_large", why)
    return row_id(columns)


def _rows(batch: Any) -> Iterator[Columns]:
    names = batch.schema.names
    if len(set(names)) < len(names):
        raise InvalidManifest("two columns of the Parquet file have one name")
    columns = [_values(name, column) for name, column in zip(names, batch.columns, strict=True)]
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _values(name: str, column: Any) -> Sequence[Any]:
    try:
        return [_plain(scalar.as_py()) for scalar in column]
    except Exception as error:
        raise InvalidManifest(
            f"the column {name} of the Parquet file has a type that isn't read"
        ) from error


def _plain(value: Any) -> Any:
    """What JSON can say of a value: an amount keeps its digits as text, a time is ISO 8601, bytes
    are text or else base64, and no number is null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


class _Blocks:
    """Ranges of one version of a blob; some of it is held, as ranges come from here and there."""

    def __init__(self, blobs: Blobs, key: str, etag: str, size: int) -> None:
        self._blobs = blobs
        self._key = key
        self._etag = etag
        self.size = size
        self._held: OrderedDict[int, bytes] = OrderedDict()

    def read_at(self, offset: int, length: int) -> bytes:
        """These bytes; fewer at the end. Raises BlobError."""
        end = min(offset + length, self.size)
        pieces = []
        while offset < end:
            block = self._block(offset // _BLOCK_BYTES)
            within = offset % _BLOCK_BYTES
            piece = block[within : within + end - offset]
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _block(self, number: int) -> bytes:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        data = bytearray()
        begin = number * _BLOCK_BYTES
        for piece in self._blobs.chunks(self._key, etag=self._etag, offset=begin):
            data += piece
            if len(data) >= _BLOCK_BYTES:
                break
        self._held[number] = bytes(data[:_BLOCK_BYTES])
        if len(self._held) > _BLOCKS:
            self._held.popitem(last=False)
        return self._held[number]


class _WithFooter(io.RawIOBase):
    """The blob as a file whose end is another. `error` is what the blob's reading came to: the
    library tells only that something did."""

    def __init__(self, blocks: _Blocks, footer: bytes) -> None:
        self._blocks = blocks
        self._footer = footer
        self._position = 0
        self.error: BlobError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        ends = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        base = ends.get(whence, self._blocks.size + len(self._footer))
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._blocks.size + len(self._footer)
        if size < 0:
            size = max(end - self._position, 0)
        at = self._position
        try:
            data = self._blocks.read_at(at, size) if at < self._blocks.size else b""
        except BlobError as error:
            self.error = error
            raise
        if len(data) < size:
            behind = at + len(data) - self._blocks.size
            data += self._footer[behind : behind + size - len(data)]
        self._position += len(data)
        return data
