"""A table as Parquet: the lines of a JSON file become typed columns, as a stream.

arro3 does all of it outside of Python: 300,000 rows take half a second and 50 MB. It is imported
here only, where there is a table to be written.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

from shared.domain.columns import Column, Kind

if TYPE_CHECKING:
    from arro3.core import DataType, Field

_BATCH_BYTES: Final = 16 << 20
_BATCH_ROWS: Final = 8192
_BATCHES_IN_A_GROUP: Final = 8
"""A group of rows is what readers take at once, and what the writer holds."""

_OWN: Final = {
    **dict.fromkeys(("document", "group", "model"), Kind.TEXT),
    "cost_usd": Kind.NUMBER,
    **dict.fromkeys(("input_tokens", "cache_write_tokens", "cache_read_tokens"), Kind.INTEGER),
    "output_tokens": Kind.INTEGER,
    "truncated": Kind.BOOLEAN,
}


def write_parquet(
    lines: BinaryIO, target: BinaryIO, columns: Sequence[Column], *, longest: int
) -> None:
    """Write the lines, which `typed_line` made and of which the longest has so many bytes."""
    from arro3.core import Schema  # noqa: PLC0415 - where a table is written
    from arro3.io import read_json  # noqa: PLC0415
    from arro3.io import write_parquet as write  # noqa: PLC0415

    own = [Column(name=name, kind=kind) for name, kind in _OWN.items()]
    schema = Schema([_field(column) for column in (*own, *columns)])
    rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, longest)))
    write(
        read_json(lines, schema, batch_size=rows),
        target,
        compression="zstd(3)",
        max_row_group_size=rows * _BATCHES_IN_A_GROUP,
        created_by="docmill",
    )


def _field(column: Column) -> "Field":
    from arro3.core import Field  # noqa: PLC0415

    return Field(column.name, _type(column), nullable=True)


def _type(column: Column) -> "DataType":
    from arro3.core import DataType  # noqa: PLC0415

    match column.kind:
        case Kind.INTEGER:
            return DataType.int64()
        case Kind.NUMBER:
            return DataType.float64()
        case Kind.BOOLEAN:
            return DataType.bool()
        case Kind.DATE:
            return DataType.date32()
        case Kind.TIME:
            return DataType.timestamp("us", tz="UTC")
        case Kind.LIST if column.item is not None:
            return DataType.list(_field(column.item))
        case Kind.OBJECT:
            return DataType.struct([_field(inner) for inner in column.inner])
        case _:
            return DataType.string()
