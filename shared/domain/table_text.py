"""Rows as the text of a table: a line of JSON, or of CSV that a spreadsheet may open.

JSON Lines are exact. In CSV, text that a spreadsheet would take for a formula gets an apostrophe
before it, as OWASP advises (https://owasp.org/www-community/attacks/CSV_Injection): what a document
or a model wrote must not be run by whoever opens the table.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from shared.domain.columns import Column, Kind, fitting
from shared.domain.report import plain
from shared.domain.row import OWN_COLUMNS, Row

CSV_BEGINS: Final = "\ufeff".encode()
"""The mark by which spreadsheets know UTF-8; pandas, duckdb and others pass over it."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


def json_line(row: Row, columns: Sequence[Column]) -> bytes:
    """The row with all its values as they are."""
    fits = fitting(columns, row.fields)
    values = {name: None if fits[name] is None else row.fields[name] for name in fits}
    return _ENCODE({**_own(row), **values}) + b"\n"


def typed_line(row: Row, columns: Sequence[Column]) -> bytes:
    """The row with each value as its column has it."""
    return _ENCODE({**_own(row), **fitting(columns, row.fields)}) + b"\n"


def _own(row: Row) -> dict[str, object]:
    values = (plain(one) if isinstance(one, Decimal) else one for one in row.own())
    return dict(zip(OWN_COLUMNS, values, strict=True))


def csv_head(columns: Sequence[Column]) -> bytes:
    """The mark and the line of names."""
    return CSV_BEGINS + _csv([*OWN_COLUMNS, *(column.name for column in columns)])


def csv_line(line: bytes, columns: Sequence[Column]) -> bytes:
    """The CSV of what `typed_line` made."""
    values: Mapping[str, Any] = msgspec.json.decode(line)
    own = [_cell(values[name]) for name in OWN_COLUMNS]
    return _csv([*own, *(_field(column, values[column.name]) for column in columns)])


def _field(column: Column, value: Any) -> str:
    if column.kind in (Kind.LIST, Kind.OBJECT) and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return str(value) if column.kind is Kind.JSON and value is not None else _cell(value)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            safe = value.replace("\x00", "\ufffd")
            return f"'{safe}" if safe.startswith(_FORMULA) else safe
        case _:
            return str(value)


def _csv(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
