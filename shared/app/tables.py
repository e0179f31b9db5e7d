"""The results tables: a row for each reported document whose answer has fields, in three formats.

Derived whole from the documents and the parts each time, by one pass, so all three say the same.
"""

import tempfile
from collections.abc import Iterator
from typing import BinaryIO, Final, cast

from shared.app.deps import Deps, NoRecipe
from shared.app.parquet_table import write_parquet
from shared.app.row_parts import current_rows
from shared.domain.columns import Column, column
from shared.domain.ids import JobName
from shared.domain.names import TABLES
from shared.domain.table_text import csv_head, csv_line, json_line, typed_line
from shared.ports.blobs import BlobNotFound, BlobStoreUnavailable

CSV, PARQUET, JSON_LINES = TABLES
_PIECE: Final = 1 << 20
_TRIES: Final = 3


def publish_tables(deps: Deps, job: JobName) -> bool:
    """Write the tables of a job whose recipe has fields, by the columns it has now; says whether
    there are any.

    Without fields, or a recipe, what was written before stays.
    """
    try:
        fields = deps.recipe(job).form.fields
    except NoRecipe:
        return False
    if not fields:
        return False
    columns = [column(name, schema) for name, schema in fields.items()]
    for _ in range(_TRIES):
        try:
            _write(deps, job, columns)
        except BlobNotFound:  # somebody made parts one meanwhile
            continue
        return True
    raise BlobStoreUnavailable(f"the rows of {job} are being rewritten; the tables come later")


def _write(deps: Deps, job: JobName, columns: list[Column]) -> None:
    with _file(deps) as exact, _file(deps) as typed, _file(deps) as parquet:
        longest = 0
        for row in current_rows(deps, job, deps.store.all_documents(job)):
            exact.write(json_line(row, columns))
            longest = max(longest, typed.write(typed_line(row, columns)))
        typed.seek(0)
        write_parquet(typed, parquet, columns, longest=longest)
        for name, pieces in (
            (JSON_LINES, _pieces(exact)),
            (CSV, _csv(typed, columns)),
            (PARQUET, _pieces(parquet)),
        ):
            deps.reports.write_stream(deps.output_key(job, name), pieces)


def _file(deps: Deps) -> BinaryIO:
    """Nameless, so it goes with the process."""
    return cast("BinaryIO", tempfile.TemporaryFile(dir=deps.spool_dir, buffering=_PIECE))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def _csv(lines: BinaryIO, columns: list[Column]) -> Iterator[bytes]:
    lines.seek(0)
    piece = bytearray(csv_head(columns))
    for line in lines:
        piece += csv_line(line, columns)
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
