"""A footer's row groups, and footers with one of them: the library reads exactly its rows."""

import io

import pytest
from arro3.core import Array, DataType, Table
from arro3.io import read_parquet, write_parquet
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.manifest_row import InvalidManifest
from shared.domain.parquet_footer import TAIL_BYTES, Footer, footer_size, read_footer


def written(rows: int, group: int) -> bytes:
    target = io.BytesIO()
    table = Table.from_pydict({"id": Array(list(range(rows)), type=DataType.int64())})
    write_parquet(table, target, max_row_group_size=group)
    return target.getvalue()


def footer_of(data: bytes) -> Footer:
    size = footer_size(data[-TAIL_BYTES:], len(data))
    return read_footer(data[-TAIL_BYTES - size : -TAIL_BYTES])


@given(rows=st.integers(1, 60), group=st.integers(1, 25))
def test_each_row_group_can_be_read_alone(rows: int, group: int) -> None:
    data = written(rows, group)
    footer = footer_of(data)
    found: list[int] = []
    for each in footer.groups:
        assert each.first == len(found)
        alone = io.BytesIO(data + footer.of(each))
        ids = [
            batch.column(0)[at].as_py()
            for batch in read_parquet(alone)
            for at in range(batch.num_rows)
        ]
        assert len(ids) == each.rows
        found += ids
    assert found == list(range(rows))


@pytest.mark.parametrize(
    ("tail", "size", "why"),
    [
        (b"", 0, "no Parquet file"),
        (b"1,2,3\n4,", 900, "no Parquet file"),
        (b"\1\0\0\0PARE", 900, "encrypted"),
        (b"\xff\0\0\0PAR1", 100, "doesn't lie in it"),
        (b"\xff\xff\xff\x7fPAR1", 2**33, "more than 64,000,000"),
    ],
)
def test_an_end_that_is_none_is_refused(tail: bytes, size: int, why: str) -> None:
    with pytest.raises(InvalidManifest, match=why):
        footer_size(tail, size)


def test_encrypted_columns_are_refused() -> None:
    with pytest.raises(InvalidManifest, match="columns are encrypted"):
        read_footer(b"\x8c\x00\x00")


def test_a_row_group_beyond_all_measure_is_refused() -> None:
    huge = b"\x26" + b"\xfe\xff\xff\xff\xff\x07"
    with pytest.raises(InvalidManifest, match="write smaller ones"):
        read_footer(b"\x49\x1c" + huge + b"\0\0")


@given(st.binary(max_size=80) | st.tuples(st.integers(0, 300), st.binary(max_size=8)))
def test_whatever_the_bytes_are_there_is_a_footer_or_a_reason(
    noise: bytes | tuple[int, bytes],
) -> None:
    data = written(3, 2)
    footer = data[-TAIL_BYTES - footer_size(data[-TAIL_BYTES:], len(data)) : -TAIL_BYTES]
    if isinstance(noise, tuple):
        at, change = noise
        noise = footer[:at] + change + footer[at + len(change) :]
    try:
        read_footer(noise)
    except InvalidManifest as error:
        assert error.message  # noqa: PT017 - either way is fine
