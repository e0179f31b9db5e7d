"""Parquet as a manifest: rows with typed values, read again by their place, flat in memory."""

import asyncio
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from arro3.core import Array, DataType, Field, Table, list_array, struct_array
from arro3.io import write_parquet

from shared.app.contents import read_contents
from shared.app.parquet import ParquetFile, parquet_rows
from shared.app.uploads import Upload, take_upload
from shared.domain.document import DocumentStatus
from shared.domain.manifest_row import Columns, Row
from shared.domain.policy import Policy
from shared.domain.recipe import Recipe
from tests.app.home import JOB, Home
from tests.archives import recipe

TEXT = DataType.string()


def written(
    columns: Mapping[str, object], *, group: int = 1000, compression: str = "snappy"
) -> bytes:
    target = io.BytesIO()
    table = Table.from_pydict(dict(columns))
    write_parquet(table, target, max_row_group_size=group, compression=compression)
    return target.getvalue()


def texts(count: int, *, group: int = 1000) -> bytes:
    ids = Array([f"r{number:05}" for number in range(count)], type=TEXT)
    text = Array([f"text of {number}" for number in range(count)], type=TEXT)
    return written({"id": ids, "text": text}, group=group)


def columns_of(home: Home, name: str) -> list[Columns]:
    blob = home.deps.documents.stat(name)
    found = parquet_rows(home.deps.documents, blob)
    return [row.columns for row in found if isinstance(row, Row)]


def prompts(home: Home, recipe: Recipe) -> dict[str, str]:
    found = {}
    for group in list(home.store.groups(JOB)):
        waiting = home.store.waiting(JOB, group.name)
        for document, content in read_contents(home.deps, waiting, recipe):
            assert not hasattr(content, "message"), content
            found[document.path] = content.input.text
    return found


def test_each_row_is_a_document_and_is_paid_for_once(home: Home) -> None:
    home.write("rows.parquet", texts(25, group=10))
    assert home.see().new == 25
    assert prompts(home, home.recipe)["r00017"] == "text of 17"
    asyncio.run(home.finish())
    assert set(home.statuses().values()) == {DocumentStatus.REPORTED}
    assert home.see().unchanged == 25
    asyncio.run(home.finish())
    assert home.requested() == 25
    assert home.report("r00024") is not None


def test_of_a_file_that_changed_only_the_rows_that_did_are_sent(home: Home) -> None:
    ids = Array(["a", "b"], type=TEXT)
    home.write("rows.parquet", written({"id": ids, "text": Array(["one", "two"], type=TEXT)}))
    home.see()
    asyncio.run(home.finish())
    rows = {"id": Array(["c", "a", "b"], type=TEXT), "text": Array(["x", "one", "TWO"], type=TEXT)}
    home.write("rows.parquet", written(rows))
    taken = home.see()
    assert (taken.new, taken.changed, taken.unchanged) == (1, 1, 1)


def test_values_keep_their_types_and_odd_ones_become_what_json_can_say(home: Home) -> None:
    numbers = Array([86_400_000_001, None], type=DataType.int64())
    columns: dict[str, object] = {
        "id": Array([7, 8], type=DataType.int64()),
        "flag": Array([True, None], type=DataType.bool()),
        "share": Array([0.5, float("nan")], type=DataType.float64()),
        "amount": Array(["12.50", None], type=TEXT).cast(DataType.decimal128(10, 2)),
        "at": numbers.cast(DataType.timestamp("us", tz="UTC")),
        "day": Array([20_000, None], type=DataType.int32()).cast(DataType.date32()),
        "took": numbers.cast(DataType.duration("us")),
        "data": Array([b"text", b"\xff\xfe"], type=DataType.binary()),
        "tags": list_array(Array([0, 2, 2], type=DataType.int32()), Array(["a", "b"], type=TEXT)),
        "who": struct_array([Array(["x", "y"], type=TEXT)], fields=[Field("name", TEXT)]),
    }
    home.write("rows.parquet", written(columns))
    assert columns_of(home, "rows.parquet") == [
        {
            "id": 7,
            "flag": True,
            "share": 0.5,
            "amount": "12.50",
            "at": "1970-01-02T00:00:00.000001+00:00",
            "day": "2024-10-04",
            "took": 86_400.000001,
            "data": "text",
            "tags": ["a", "b"],
            "who": {"name": "x"},
        },
        {
            "id": 8,
            "flag": None,
            "share": None,
            "amount": None,
            "at": None,
            "day": None,
            "took": None,
            "data": "//4=",
            "tags": [],
            "who": {"name": "y"},
        },
    ]


@pytest.mark.parametrize(
    "compression", ["uncompressed", "snappy", "gzip(6)", "zstd(3)", "brotli(3)", "lz4_raw"]
)
def test_every_usual_compression_is_read(home: Home, compression: str) -> None:
    ids = Array(["a"], type=TEXT)
    data = written({"id": ids, "text": Array(["x" * 100], type=TEXT)}, compression=compression)
    home.write("rows.parquet", data)
    assert columns_of(home, "rows.parquet") == [{"id": "a", "text": "x" * 100}]


def test_a_row_without_an_id_fails_alone_by_its_number(home: Home) -> None:
    ids = Array(["a", None, "a"], type=TEXT)
    home.write("rows.parquet", written({"id": ids, "text": Array(["x", "y", "z"], type=TEXT)}))
    home.see()
    found = {path: each.failure for path, each in home.documents().items() if each.failure}
    failures = {path: failure.type for path, failure in found.items()}
    assert failures == {"rows.parquet:2": "missing_id", "rows.parquet:3": "duplicate_id"}
    assert found["rows.parquet:2"].message.startswith("row 2: ")
    assert found["rows.parquet:3"].message.startswith("row 3 has the id of row 1 again: ")
    assert home.statuses()["a"] is DocumentStatus.WAITING


def test_a_column_that_the_prompt_needs_is_missed_at_once(home: Home) -> None:
    home.recipe = replace(home.recipe, needs_columns=frozenset({"price"}))
    home.write("rows.parquet", texts(3))
    home.see()
    [document] = home.documents().values()
    assert document.failure is not None
    assert "has no column price" in document.failure.message


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no Parquet file"),
        (b"id,text\n1,2\n" * 50, "no Parquet file"),
        (texts(5)[:-30], "no Parquet file"),
        (texts(5)[:-4] + b"PARE", "encrypted"),
        (texts(5)[100:], "broken"),
        (texts(5)[:20] + b"\xff" * 60 + texts(5)[80:], "broken in rows 1 to 5"),
    ],
)
def test_a_file_that_can_not_be_read_is_one_failure(home: Home, data: bytes, why: str) -> None:
    home.write("rows.parquet", data)
    home.write("fine.md", "fine")
    home.see()
    document = home.documents()["rows.parquet"]
    assert document.failure is not None
    assert document.failure.type == "invalid_manifest"
    assert why in document.failure.message
    home.write("rows.parquet", texts(2))
    home.see()
    assert set(home.documents()) == {"r00000", "r00001", "fine.md"}


def test_a_long_file_is_taken_in_by_several_who_go_on(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(reports_by_job=True))
    home.write("legal/rows.parquet", texts(1200, group=130))
    pieces = 0
    upload: Upload | None = Upload(key="legal/rows.parquet")
    while upload is not None:
        upload = take_upload(home.deps, upload, until=home.now).left
        pieces += 1
    assert pieces == 3
    assert len(home.documents()) == 1200


def test_a_file_that_is_replaced_after_it_was_seen_is_not_sent_unseen(home: Home) -> None:
    home.write("rows.parquet", texts(3))
    home.see()
    home.write("rows.parquet", texts(4))
    asyncio.run(home.finish())
    assert home.requested() == 0
    failures = {d.failure.type for d in home.documents().values() if d.failure is not None}
    assert failures == {"source_changed"}


def test_rows_are_read_from_the_group_they_lie_in_and_no_other(home: Home) -> None:
    noise = [f"{number:05} " * 2000 for number in range(2000)]
    ids = Array(list(range(2000)), type=DataType.int64())
    data = written(
        {"id": ids, "text": Array(noise, type=TEXT)}, group=100, compression="uncompressed"
    )
    assert len(data) > 20_000_000
    home.write("rows.parquet", data)
    read = 0
    plain = home.deps.documents.chunks

    def counted(key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        nonlocal read
        for piece in plain(key, etag=etag, offset=offset):
            read += len(piece)
            yield piece

    home.deps.documents.chunks = counted  # type: ignore[method-assign]
    blob = home.deps.documents.stat("rows.parquet")
    file = ParquetFile(home.deps.documents, blob.key, etag=blob.etag, size=blob.size)
    assert next(file.rows(1951))[1]["id"] == 1950
    assert read < len(data) / 2


def test_keys_of_rows_are_the_recipes_columns(home: Home) -> None:
    home.recipe = recipe("group_by: team")
    ids, team = Array(["a", "b"], type=TEXT), Array(["red", "blue"], type=TEXT)
    home.write("rows.parquet", written({"id": ids, "team": team}))
    home.see()
    assert {path: d.group for path, d in home.documents().items()} == {"a": "red", "b": "blue"}
