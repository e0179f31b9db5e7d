"""Manifests: every row found, every broken one named, whatever the chunks and wherever resumed."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.manifest import (
    BrokenRow,
    InvalidManifest,
    ManifestKind,
    Row,
    looks_like_array,
    manifest_kind,
    parse_row,
    read_header,
    rows,
)

JSONL, JSON, CSV = ManifestKind.JSONL, ManifestKind.JSON, ManifestKind.CSV

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
STREAMED = tuple(kind for kind in ManifestKind if kind is not ManifestKind.PARQUET)
COLUMNS = st.dictionaries(TEXT, JSON_VALUE, max_size=4).flatmap(
    lambda columns: st.builds(
        lambda number: {**columns, "id": f"row-{number}"}, st.integers(0, 10**6)
    )
)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def cut(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    edges = [0, *sorted(min(at, len(data)) for at in cuts), len(data)]
    return (data[a:b] for a, b in pairwise(edges))


def read(kind: ManifestKind, data: bytes, **options: Any) -> list[Row | BrokenRow]:
    return list(rows(kind, [data], **options))


def good(found: list[Row | BrokenRow]) -> list[Row]:
    return [row for row in found if isinstance(row, Row)]


def broken(found: list[Row | BrokenRow]) -> list[tuple[int, str]]:
    return [(row.line, row.type) for row in found if isinstance(row, BrokenRow)]


def written(kind: ManifestKind, objects: list[dict[str, Any]], indent: int | None) -> bytes:
    if kind is JSONL:
        return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode()
    return json.dumps(objects, indent=indent, ensure_ascii=False).encode()


def test_a_jsonl_manifest_gives_its_rows_with_their_places() -> None:
    data = b'\xef\xbb\xbf{"id": "a", "n": 1}\r\n\n  \n{"id": 7}'
    assert read(JSONL, data) == [
        Row(id="a", line=1, offset=3, length=19, columns={"id": "a", "n": 1}),
        Row(id="7", line=4, offset=28, length=9, columns={"id": 7}),
    ]


def test_an_array_gives_its_rows_with_their_places() -> None:
    data = b' [\n  {"id": "a", "tags": ["x", "]"]},\n\n  {"id": "b",\n   "n": {"k": "}\\""}}\n]\n'
    found = read(JSON, data)
    assert [(row.line, row.breaks) for row in found] == [(2, 0), (4, 1)]
    assert [data[row.offset : row.offset + row.length][:1] for row in found] == [b"{", b"{"]
    assert [row.columns for row in good(found)] == json.loads(data)


def test_a_csv_manifest_follows_rfc_4180() -> None:
    data = (
        b'\xef\xbb\xbfid,"name",readme\r\n'
        b'1,"Quoted, with comma","first\r\nsecond ""line"""\r\n'
        b"\r\n"
        b'2,plain "inner" quote,\r\n'
        b'3,"",last'
    )
    found = read(CSV, data)
    assert [row.columns for row in good(found)] == [
        {"id": "1", "name": "Quoted, with comma", "readme": 'first\r\nsecond "line"'},
        {"id": "2", "name": 'plain "inner" quote', "readme": ""},
        {"id": "3", "name": "", "readme": "last"},
    ]
    assert [row.line for row in found] == [2, 5, 6]


@pytest.mark.parametrize("kind", [JSONL, JSON, CSV])
def test_a_broken_row_is_named_by_its_line_and_the_others_go_on(kind: ManifestKind) -> None:
    data = {
        JSONL: b'{"id": 1}\n{"id": 2,}\n{"id": 3, "x": "\xff"}\n[4]\n{"x": 5}\n{"id": 6}\n',
        JSON: b'[{"id": 1},\n{"id": 2,},\n{"id": 3, "x": "\xff"},\n[4],\n{"x": 5},\n{"id": 6}]\n',
        CSV: b"id,x\n2\n3,\xff\n1,2,3\n,5\n6,x\n",
    }[kind]
    found = read(kind, data)
    assert broken(found) == [
        (2, "invalid_row"),
        (3, "invalid_row"),
        (4, "invalid_row"),
        (5, "missing_id"),
    ]
    assert good(found)[-1].id == "6"
    assert good(found)[-1].line == 6
    for row in found:
        if isinstance(row, BrokenRow):
            assert len(row.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("data", "line", "ids"),
    [
        (b"", 1, []),
        (b" \n", 2, []),
        (b'{"id": 1}', 1, []),
        (b"[", 1, []),
        (b'[{"id": 1}', 1, ["1"]),
        (b'[{"id": 1},\n', 2, ["1"]),
        (b'[{"id": 1},\n{"id": 2', 2, ["1"]),
        (b'[{"id": 1},\n{"id": "2]', 2, ["1"]),
        (b'[{"id": 1}]\nmore', 2, ["1"]),
        (b'[{"id": 1}]]', 1, ["1"]),
    ],
)
def test_an_array_that_is_none_or_is_cut_off_gives_one_fault_after_its_good_rows(
    data: bytes, line: int, ids: list[str]
) -> None:
    found = read(JSON, data)
    assert [row.id for row in found[:-1] if isinstance(row, Row)] == ids
    assert len(found) == len(ids) + 1
    assert broken(found) == [(line, "invalid_manifest")]


def test_empty_manifests_have_no_rows() -> None:
    assert read(JSONL, b"") == read(JSONL, b"\xef\xbb\xbf\n\n") == []
    assert read(JSON, b" [ \n ] \n") == read(CSV, b"id,text\r\n") == read(CSV, b"id") == []


def test_a_comma_too_many_is_named_and_the_others_go_on() -> None:
    found = read(JSON, b'[,{"id": 1},,\n{"id": 2} {"id": 3},{"id": 4},]')
    assert [row.id for row in good(found)] == ["1", "4"]
    assert [fault for _, fault in broken(found)] == ["invalid_row"] * 4


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (b"name,text\n1,2\n", "no column `id`"),
        (b"ID,text\n1,2\n", "no column `id`"),
        (b"id;text\n1;2\n", "separated by commas"),
        (b"id,text,text\n", "twice: text"),
        (b"id,,text\n", "column 2"),
        (b'"id,text\n1,2\n', "header can't be read"),
        (b"id,\xff\n", "not valid UTF-8"),
        (b"id,a\rb\n", "header can't be read"),
        (b"x" * 1_000_001, "never ends"),
        ("id,text\n".encode("utf-16"), "UTF-16"),
        (b"no\x1b[2J\x07,x\n", "no column `id`"),
    ],
)
def test_a_csv_without_a_usable_header_is_refused_in_one_line(data: bytes, why: str) -> None:
    with pytest.raises(InvalidManifest, match=why) as caught:
        read(CSV, data)
    assert caught.value.message.isprintable()
    with pytest.raises(InvalidManifest, match=why):
        read_header([data])


def test_other_unicode_encodings_are_refused_for_every_kind() -> None:
    for kind in STREAMED:
        for encoding in ("utf-16", "utf-32"):
            with pytest.raises(InvalidManifest, match="save it as UTF-8"):
                read(kind, '{"id": 1}'.encode(encoding))


def test_the_header_tells_where_the_rows_begin() -> None:
    data = b'\xef\xbb\xbf\r\nid, "name" ,"two\r\nlines"\r\n1,2,3\r\n'
    header = read_header(cut(data, [1, 2, 5]))
    assert header.names == ("id", '"name"', "two\r\nlines")
    assert (header.after.line, data[header.after.offset :]) == (3, b"\r\n1,2,3\r\n")


def test_a_quote_that_is_never_closed_is_named_with_what_it_takes() -> None:
    found = read(CSV, b'id,text\n1,ok\n2,"open\n3,x\n')
    assert broken(found) == [(3, "invalid_row")]
    assert isinstance(found[1], BrokenRow)
    assert "never closed" in found[1].message
    assert "lines 3 to 5" in found[1].message


@pytest.mark.parametrize("kind", [JSONL, JSON, CSV])
def test_a_row_too_large_is_passed_over_without_being_held(kind: ManifestKind) -> None:
    def chunks() -> Iterator[bytes]:
        yield {JSONL: b'{"id": 1}\n', JSON: b'[{"id": 1},\n\n', CSV: b"id,text\n1,a\n"}[kind]
        yield {JSONL: b'{"id": 2, "x": "', JSON: b'{"id": 2, "x": "', CSV: b'2,"'}[kind]
        for _ in range(400):
            yield b"0" * 50_000
            yield b"\n" if kind is CSV else b"\\"
            yield b"0" if kind is CSV else b'"'
        yield {JSONL: b'"}\n', JSON: b'"},\n', CSV: b'"\n'}[kind]
        yield {JSONL: b'{"id": 3}', JSON: b'{"id": 3}]', CSV: b"3,c"}[kind]

    tracemalloc.start()
    found = list(rows(kind, chunks(), max_row_bytes=1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.id for row in good(found)] == ["1", "3"]
    lines = {JSONL: [1, 2, 3], JSON: [1, 3, 4], CSV: [2, 3, 404]}[kind]
    assert [row.line for row in found] == lines
    assert [fault for _, fault in broken(found)] == ["row_too_large"]
    assert peak < 8_000_000


def test_a_row_at_the_limit_is_read_however_it_is_cut() -> None:
    data = b'{"id": 1}\n{"id": 22}\n{"id": 3}'
    for size in range(1, 12):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        found = list(rows(JSONL, chunks, max_row_bytes=9))
        assert [row.id for row in good(found)] == ["1", "3"]
        assert broken(found) == [(2, "row_too_large")]


@given(
    st.sampled_from([JSONL, JSON]),
    st.lists(COLUMNS, max_size=5),
    st.sampled_from([None, 1]),
    CUTS,
)
def test_every_json_row_comes_back_whatever_the_chunks_and_again_from_its_range(
    kind: ManifestKind, objects: list[dict[str, Any]], indent: int | None, cuts: list[int]
) -> None:
    data = written(kind, objects, indent)
    found = list(rows(kind, cut(data, cuts)))
    assert [row.columns for row in good(found)] == objects
    assert len(found) == len(objects)
    for row in good(found):
        raw = data[row.offset : row.offset + row.length]
        assert parse_row(kind, raw) == row.columns
        assert row.line == 1 + data.count(b"\n", 0, row.offset)


@given(
    st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=5),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\r\n", "\n"]),
    CUTS,
)
def test_every_csv_row_comes_back_whatever_the_chunks_and_again_from_its_range(
    values: list[list[str]], quoting: Any, end: str, cuts: list[int]
) -> None:
    if end == "\n":  # the csv module leaves a lone return unquoted then, and can't read it itself
        values = [[cell.replace("\r", "\n") for cell in cells] for cells in values]
    file = io.StringIO(newline="")
    table = [["id", "a", "b"], *[[f"r{n}", *cells] for n, cells in enumerate(values)]]
    csv.writer(file, quoting=quoting, lineterminator=end).writerows(table)
    data = file.getvalue().encode()
    found = list(rows(CSV, cut(data, cuts)))
    header = read_header(cut(data, cuts))
    assert [list(row.columns.values()) for row in good(found)] == table[1:]
    assert len(found) == len(values)
    for row in good(found):
        raw = data[row.offset : row.offset + row.length]
        assert parse_row(CSV, raw, header.names) == row.columns
        assert row.line == 1 + data.count(b"\n", 0, row.offset)


TOPS = {JSONL: b"\n", JSON: b"[", CSV: b"id,x\n"}
SOUP = st.lists(
    st.sampled_from(
        [
            *(b'"', b'""', b",", b"\n", b"\r\n", b"{", b"}", b"[", b"]", b"\\", b":", b" ", b"1"),
            *(
                b'{"id": 1}',
                b'{"id":{"a":"}"}}',
                b"id,x\n",
                b"a,b\n",
                b"\xff",
                b"\x00",
                b"\xc3\xa9",
            ),
        ]
    ),
    max_size=25,
).map(b"".join)


@given(st.sampled_from(STREAMED), SOUP | st.binary(max_size=200), CUTS)
def test_any_bytes_give_rows_or_named_faults_that_no_chunking_changes(
    kind: ManifestKind, soup: bytes, cuts: list[int]
) -> None:
    data = TOPS[kind] + soup
    found = read(kind, data)
    assert list(rows(kind, cut(data, cuts))) == found
    for row in found:
        assert 0 <= row.offset <= row.offset + row.length <= len(data)
        assert row.line == 1 + data.count(b"\n", 0, row.offset)


@given(st.sampled_from(STREAMED), SOUP | st.binary(max_size=200), st.integers(5, 40))
def test_any_bytes_from_the_beginning_raise_nothing_but_the_named_error(
    kind: ManifestKind, data: bytes, limit: int
) -> None:
    try:
        read(kind, data, max_row_bytes=limit)
    except InvalidManifest as error:
        message = error.message
        assert len(message.splitlines()) == 1


@given(st.sampled_from(STREAMED), SOUP, st.integers(5, 100))
def test_reading_resumes_at_every_row_and_behind_it(
    kind: ManifestKind, soup: bytes, limit: int
) -> None:
    data = TOPS[kind] + soup
    found = read(kind, data, max_row_bytes=limit)
    for number, row in enumerate(found):
        if isinstance(row, BrokenRow) and row.type == "invalid_manifest":
            break
        for place, rest in ((row, found[number:]), (row.after, found[number + 1 :])):
            if place.offset == 0 or (place is row and isinstance(row, BrokenRow)):
                continue
            again = read(
                kind,
                data[place.offset :],
                offset=place.offset,
                line=place.line,
                header=("id", "x"),
                max_row_bytes=limit,
            )
            assert again == rest


def test_resuming_a_csv_without_its_header_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="header"):
        read(CSV, b"1,2\n", offset=8, line=2)
    with pytest.raises(ValueError, match="header"):
        parse_row(CSV, b"1,2")


@pytest.mark.parametrize(
    ("name", "directly", "kind"),
    [
        ("rows.jsonl", False, JSONL),
        ("folder/ROWS.JSONL", True, JSONL),
        ("data.csv", True, CSV),
        ("data.csv", False, None),
        ("data.json", True, JSON),
        ("package.json", False, None),
        ("manifest.csv", False, CSV),
        ("job/manifest.json", False, JSON),
        ("job/repos.manifest.csv", False, CSV),
        ("job/Repos.Manifest.JSON", False, JSON),
        ("job/mymanifest.csv", False, None),
        ("manifest/data.csv", False, None),
        ("rows.Parquet", False, ManifestKind.PARQUET),
        ("manifest.md", True, None),
        ("jsonl", True, None),
        ("", True, None),
    ],
)
def test_what_is_a_manifest_shows_in_its_name(
    name: str, directly: bool, kind: ManifestKind | None
) -> None:
    assert manifest_kind(name, named_directly=directly) is kind


def test_a_json_file_is_told_by_its_first_byte() -> None:
    assert looks_like_array(b"\xef\xbb\xbf \n[{")
    assert not looks_like_array(b'{"id": 1}')
    assert not looks_like_array(b"")
