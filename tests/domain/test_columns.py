import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.domain.catalog import Usage
from shared.domain.columns import Column, Kind, NoValue, column, fitting, value_in
from shared.domain.field_schema import field_schema
from shared.domain.ids import BatchId
from shared.domain.row import Row
from shared.domain.table_text import csv_head, csv_line, json_line, typed_line


def made(schema: object, name: str = "x") -> Column:
    return column(name, field_schema(schema, name))


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ("integer", Kind.INTEGER),
        ("number", Kind.NUMBER),
        ("boolean", Kind.BOOLEAN),
        ("text", Kind.TEXT),
        ("date", Kind.DATE),
        ("date-time", Kind.TIME),
        ("email", Kind.TEXT),
        (["low", "high", None], Kind.TEXT),
        ([1, 2], Kind.INTEGER),
        ([1, 2.5], Kind.NUMBER),
        ([1, "many"], Kind.JSON),
        ({"type": ["integer", "null"]}, Kind.INTEGER),
        ({"type": ["integer", "number"]}, Kind.NUMBER),
        ({"type": ["integer", "string"]}, Kind.JSON),
        ({"anyOf": ["date", None]}, Kind.DATE),
        ({"anyOf": ["date", "integer"]}, Kind.JSON),
        ({"const": "x"}, Kind.TEXT),
        ({"type": "array", "items": "text"}, Kind.LIST),
        ({"type": "object", "properties": {"a": "text"}}, Kind.OBJECT),
    ],
)
def test_each_field_has_the_column_of_its_type(schema: object, kind: Kind) -> None:
    assert made(schema).kind is kind


@pytest.mark.parametrize(
    ("schema", "value", "kept"),
    [
        ("integer", 5.0, 5),
        ("number", 5, 5.0),
        ("date-time", "2026-01-02t03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
        ([1, "many"], "many", '"many"'),
        ("text", None, None),
        (
            {"type": "object", "properties": {"a": "text", "b": "date"}},
            {"a": "x"},
            {"a": "x", "b": None},
        ),
    ],
)
def test_a_value_is_as_its_column_has_it(schema: object, value: Any, kept: Any) -> None:
    assert value_in(made(schema), value) == kept


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        *(("integer", value) for value in ("5", 5.5, True, 2**63, [5])),
        *(("number", value) for value in ("5", True, 10**400)),
        *(("date", value) for value in ("2026-02-30", 5, "soon")),
        *(("date-time", value) for value in ("2026-01-02", "2026-01-02T03:04:05", 5)),
        ("boolean", 1),
        ("text", 1),
        ({"type": "array", "items": "integer"}, ["a"]),
        ({"type": "array", "items": "integer"}, "a"),
        ({"type": "object", "properties": {"a": "text"}}, []),
    ],
)
def test_what_does_not_fit_is_no_value_and_an_empty_cell(schema: object, value: Any) -> None:
    with pytest.raises(NoValue):
        value_in(made(schema), value)
    assert fitting([made(schema)], {"x": value}) == {"x": None}


def row(**fields: Any) -> Row:
    return Row(
        document="=cmd|' /C calc'!A0.md",
        batch=BatchId("k2m9x4q2w8ab"),
        planned_at=datetime(2026, 11, 25, tzinfo=UTC),
        group="",
        model="claude-opus-4-6",
        cost=Decimal("0.0001025"),
        usage=Usage(input_tokens=16, output_tokens=5, cache_creation_5m=1, cache_creation_1h=2),
        fields=fields,
    )


def cells(columns: list[Column], **fields: Any) -> dict[str, str]:
    text = csv_head(columns) + csv_line(typed_line(row(**fields), columns), columns)
    [found] = csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""))
    return found


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+49 170", "-5 %", "@SUM(A1)", "\tx", "\rx", "\n=x", "＝1"),
        '=HYPERLINK("http://evil.example","click")',
    ],
)
def test_text_that_a_spreadsheet_would_run_is_told_apart_in_csv_and_exact_in_json(
    text: str,
) -> None:
    columns = [made("text")]
    assert cells(columns, x=text)["x"] == f"'{text}"
    assert json.loads(json_line(row(x=text), columns))["x"] == text


@pytest.mark.parametrize(
    ("schema", "value", "cell"),
    [
        ("integer", -5, "-5"),
        ("number", -0.5, "-0.5"),
        ("boolean", True, "true"),
        ("text", 'a "quoted", one\nof two lines', 'a "quoted", one\nof two lines'),
        ("text", "a\x00b", "a\ufffdb"),
        ("text", "a'=b", "a'=b"),
        ({"type": ["text".replace("text", "string"), "null"]}, None, ""),
        ({"type": "array", "items": "text"}, ["=a", "ü"], '["=a", "ü"]'),
        ({"type": "object", "properties": {"a": "integer"}}, {"a": 1}, '{"a": 1}'),
        ([1, "many"], "=many", '"=many"'),
    ],
)
def test_cells_are_written_so_that_they_can_be_read_back(
    schema: object, value: Any, cell: str
) -> None:
    assert cells([made(schema)], x=value)["x"] == cell


def test_docmills_own_columns_stand_first_and_are_guarded_too() -> None:
    found = cells([made("text")], x="y")
    assert found == {
        "document": "'=cmd|' /C calc'!A0.md",
        "group": "",
        "model": "claude-opus-4-6",
        "cost_usd": "0.0001025",
        "input_tokens": "16",
        "cache_write_tokens": "3",
        "cache_read_tokens": "0",
        "output_tokens": "5",
        "truncated": "false",
        "x": "y",
    }
