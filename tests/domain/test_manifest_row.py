"""One row: its columns, its id, its digest and its text, from its bytes alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.manifest_row import (
    Columns,
    InvalidRow,
    ManifestKind,
    parse_row,
    row_text,
)
from tests.domain.test_manifest import COLUMNS, broken, good, read

JSONL, JSON = ManifestKind.JSONL, ManifestKind.JSON


@pytest.mark.parametrize("value", ["null", '""', '"  "', "true", "1.5", "[]", "{}"])
def test_an_id_is_a_text_or_a_whole_number(value: str) -> None:
    assert broken(read(JSONL, f'{{"id": {value}}}'.encode())) == [(1, "missing_id")]


@pytest.mark.parametrize(
    "row",
    [
        b'{"id": 1, "x": "\\ud800"}',
        b'{"id": 1, "x": NaN}',
        b'{"id": 1, "x": 1e999}',
        b'{"id": 1} {"id": 2}',
        b'{"id": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": 1, "x": ' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"id": 1, "x": "tab\there"}',
        b"\x00",
        b'{"id": 1',
        b"nonsense",
    ],
)
def test_odd_json_is_a_broken_row_and_no_crash(row: bytes) -> None:
    found = read(JSONL, row + b'\n{"id": "next"}')
    assert broken(found) == [(1, "invalid_row")]
    assert [row.id for row in good(found)] == ["next"]


def test_a_very_long_number_is_kept_or_named_but_never_crashes() -> None:
    found = read(JSONL, b'{"id": ' + b"9" * 6000 + b'}\n{"id": 2}')
    assert good(found)[-1].id == "2"
    assert len(found) == 2


def test_parsing_a_range_that_is_no_row_raises_the_named_error() -> None:
    with pytest.raises(InvalidRow) as caught:
        parse_row(JSONL, b'{"id": 1')
    assert caught.value.type == "invalid_row"


def test_the_digest_knows_the_content_and_nothing_else() -> None:
    one = good(read(JSONL, b'{"id": "a", "x": {"p": 1, "q": [1, 2]}}'))[0]
    same = good(read(JSON, b'[\n{"x": {"q": [1,2], "p":1},\n "id":"\\u0061"}]'))[0]
    other = good(read(JSONL, b'{"id": "a", "x": {"p": 1, "q": [2, 1]}}'))[0]
    assert one.digest == same.digest == "3920a875ee89794822af559e9afc76a7"
    assert one.digest != other.digest
    assert len(one.digest) == 32


@given(st.lists(COLUMNS, min_size=2, max_size=2))
def test_two_rows_share_a_digest_only_when_they_are_equal(objects: list[dict[str, Any]]) -> None:
    first, second = good(read(JSON, json.dumps(objects).encode()))
    same = json.dumps(objects[0], sort_keys=True) == json.dumps(objects[1], sort_keys=True)
    assert (first.digest == second.digest) == same


def test_the_text_of_a_row_is_its_text_column() -> None:
    assert row_text({"id": "a", "text": "  kept\n as it is ", "name": "x"}) == "  kept\n as it is "
    assert row_text({"id": "a", "text": ""}) == row_text({"id": "a", "text": None}) == ""
    assert row_text({"id": "a", "text": ["x", 1]}) == '["x",1]'


def test_the_text_of_a_row_without_one_is_its_columns() -> None:
    columns: Columns = {
        "id": "a",
        "name": "docmill",
        "stars": 12,
        "archived": False,
        "licence": None,
        "readme": "# Title\n\nBody\n",
        "topics": ["x", "y"],
        "note": "n" * 121,
    }
    assert row_text(columns) == (
        "name: docmill\nstars: 12\narchived: false\nlicence:\n\n"
        "readme:\n\n# Title\n\nBody\n\n"
        'topics: ["x","y"]\n\n'
        "note:\n\n" + "n" * 121
    )
    assert row_text({"id": "only"}) == ""
