"""One row of a manifest: what its bytes mean, and nothing about where they were found.

Pure in the bytes and the header, so that a row read again later by its range is the same row.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

Value: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any] | None
Columns: TypeAlias = dict[str, Value]

MAX_NESTING: Final = 100
"""Brackets in brackets; far above real data, far below where a recursive encoder gives up."""

MAX_LINE_CHARS: Final = 120
"""A longer value of a column stands as a block of its own in a row's text."""

_DIGEST_CHARS: Final = 32
_ID: Final = "id"
TEXT: Final = "text"

# The module's own limit of 131,072 characters a field is below many a README. It is a setting of
# the process; raising it can't hurt another reader.
csv.field_size_limit(2**31 - 1)

_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode_canonical: Final = msgspec.json.Encoder(order="deterministic").encode


class ManifestKind(StrEnum):
    """How a manifest is written down."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class InvalidManifest(ValueError):
    """No row of this file can be read; `message` is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRow(ValueError):
    """These bytes are no row; `type` is a stable word, `message` one line."""

    def __init__(self, type: str, message: str) -> None:  # noqa: A002 (the word of failures.jsonl)
        super().__init__(message)
        self.type = type
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where to read on: a byte of the file and the number of its line, from 1."""

    offset: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A good row; `length` bytes from byte `offset` give it again through `parse_row`."""

    id: str
    line: int
    offset: int
    length: int
    columns: Columns
    breaks: int = 0
    """Newlines within the row."""

    @property
    def after(self) -> Position:
        """Where reading resumes behind this row."""
        return Position(offset=self.offset + self.length, line=self.line + self.breaks)

    @property
    def digest(self) -> str:
        """32 hex digits of the columns alone: the same wherever the row stands and however its
        keys are ordered or spaced."""
        return digest_of(self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRow:
    """A row that can't be used, named by its line; the others go on."""

    line: int
    type: str
    message: str
    offset: int
    length: int
    breaks: int = 0

    @property
    def after(self) -> Position:
        """Where reading resumes behind this row."""
        return Position(offset=self.offset + self.length, line=self.line + self.breaks)


def digest_of(columns: Columns) -> str:
    """The digest of a row that has these columns."""
    return hashlib.sha256(_encode_canonical(columns)).hexdigest()[:_DIGEST_CHARS]


def parse_row(kind: ManifestKind, data: bytes, header: Sequence[str] | None = None) -> Columns:
    """The columns that `data`, the bytes of one row, stands for; raises `InvalidRow`.

    A CSV row needs the header of its file.
    """
    if kind is not ManifestKind.CSV:
        return _parse_object(data)
    if header is None:
        raise ValueError("a CSV row can't be read without the header of its file")
    return _parse_record(data, header)


def row_id(columns: Columns) -> str:
    """The row's id as text; raises `InvalidRow` of type `missing_id`."""
    value = columns.get(_ID)
    if isinstance(value, str) and value and not value.isspace():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or isinstance(value, str):
        raise InvalidRow("missing_id", "the row has no id; give its `id` column a value")
    raise InvalidRow("missing_id", "the row's id is neither a text nor a whole number")


def row_text(columns: Columns) -> str:
    """What `document.text` is for a row: its `text` column, or else all columns but the id.

    Short values stand as `name: value`, long ones as blocks below their name, in the row's order.
    """
    if TEXT in columns:
        return _shown(columns[TEXT])
    parts: list[str] = []
    for name, value in columns.items():
        if name == _ID:
            continue
        text = _shown(value)
        if "\n" in text or "\r" in text or len(text) > MAX_LINE_CHARS:
            parts.append(f"\n{name}:\n\n{text.strip()}\n\n")
        else:
            parts.append(f"{name}: {text}".rstrip() + "\n")
    return "".join(parts).replace("\n\n\n", "\n\n").strip()


def fields_of(data: bytes) -> list[str]:
    """The fields of one CSV record; raises `InvalidRow`."""
    try:
        records = list(csv.reader([data.decode()], strict=True))
    except csv.Error as error:
        raise InvalidRow("invalid_row", f"the row is not valid CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error
    return records[0] if records else []


def _parse_record(data: bytes, header: Sequence[str]) -> Columns:
    fields = fields_of(data)
    if len(fields) != len(header):
        raise InvalidRow(
            "invalid_row", f"the row has {len(fields)} fields, but the header names {len(header)}"
        )
    return dict(zip(header, fields, strict=True))


def _parse_object(data: bytes) -> Columns:
    try:
        columns = _decode_object(data)
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error
    except msgspec.ValidationError as error:
        raise InvalidRow("invalid_row", f"the row is not a usable object: {error}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidRow("invalid_row", f"the row is not valid JSON: {error}") from error
    except RecursionError as error:
        raise _too_deep() from error
    if data.count(b"[") + data.count(b"{") > MAX_NESTING and _deeper_than(columns, MAX_NESTING):
        raise _too_deep()
    return columns


def _deeper_than(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(item, levels - 1) for item in inner)


def _too_deep() -> InvalidRow:
    return InvalidRow("invalid_row", f"the row nests deeper than {MAX_NESTING} brackets")


def _not_utf8(error: UnicodeDecodeError) -> InvalidRow:
    byte = error.object[error.start]
    return InvalidRow("invalid_row", f"the row is not valid UTF-8: it holds the byte 0x{byte:02x}")


def _shown(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode_canonical(value).decode()
