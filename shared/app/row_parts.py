"""The rows of results tables, as they are kept: a part for each batch, sorted by document.

A part is written before its batch is closed, from one whole reading of its results, and never
changed. Which of its rows count is decided by the documents, each time the tables are made, so
reading twice, reporting anew and removing need no change of what is kept. What the parts of a long
document used is known of the document too: its row is kept with the merge's.
"""

import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from heapq import merge
from itertools import accumulate, groupby
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

import msgspec

from shared.app.deps import Deps
from shared.app.slices import slices
from shared.domain.batch import Batch
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName
from shared.domain.row import Row
from shared.ports.blobs import Blob, BlobError

FOLDER: Final = ".docmill/rows/"
MOST_PARTS: Final = 16
"""So many parts are read at once: of each, a piece of some megabytes is held. Where there are more,
the smallest are made one first, so each row is copied a few times in a job's life."""

_HELD_PARTS: Final = 256
_HELD_BYTES = 32 << 20
"""Of small parts so many are made one at a time, held whole: ten thousand take forty goes."""

_PIECE = 1 << 20
_BUFFER: Final = 8 << 10
"""Rows are read back in another order than they were written in, a buffer each."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row).decode


class RowSpool:
    """The rows of one reading of results on disk, in the order of their lines.

    The file has no name and goes with the process. A full disk raises OSError from `add`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._documents: list[str] = []
        self._ends = array("Q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, row: Row) -> None:
        """Keep one row; a document has one."""
        if self._file is None:
            file = tempfile.TemporaryFile(dir=self._directory, buffering=_BUFFER)  # noqa: SIM115
            self._file = cast("BinaryIO", file)
        line = _encode(row) + b"\n"
        self._file.write(line)
        self._documents.append(row.document)
        self._ends.append(self._ends[-1] + len(line))

    def lines(self) -> Iterator[bytes]:
        """The rows as lines, by document."""
        if self._file is None:
            return
        self._file.flush()
        for number in sorted(range(len(self)), key=self._documents.__getitem__):
            self._file.seek(self._ends[number])
            yield self._file.read(self._ends[number + 1] - self._ends[number])


def write_part(deps: Deps, batch: Batch, rows: RowSpool) -> None:
    """Write the batch's part; the same results give the same bytes."""
    if len(rows):
        name = f"{FOLDER}{batch.id}.jsonl"
        deps.reports.write_stream(deps.output_key(batch.job, name), _pieces(rows.lines()))


def current_rows(deps: Deps, job: JobName, documents: Iterable[Document]) -> Iterator[Row]:
    """The row of each of the documents, which come by path, that has one.

    Raises BlobNotFound when somebody made parts one meanwhile: begin again.
    """
    rows = _by_document([_rows(deps, key) for key in _compacted(deps, job)])
    found = next(rows, None)
    if found is None:
        return
    for document in documents:
        while found is not None and found[0] < document.path:
            found = next(rows, None)
        if found is None:
            return
        if found[0] == document.path and document.status is DocumentStatus.REPORTED:
            theirs = (row for row in found[1] if row.batch == document.rows_in)
            yield from (row.merged(document.merged) for row in theirs)


def _by_document(parts: Iterable[Iterator[Row]]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of all the parts by document; one that lies in two parts comes once."""
    merged = merge(*parts, key=lambda row: row.document)
    for path, rows in groupby(merged, key=lambda row: row.document):
        yield path, list({row.batch: row for row in rows}.values())


def _rows(deps: Deps, key: str) -> Iterator[Row]:
    rest = b""
    for piece in deps.reports.chunks(key):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield _decode(line)
    if rest:
        yield _decode(rest)


def _parts(deps: Deps, job: JobName) -> list[tuple[int, str]]:
    found = deps.reports.list(deps.output_key(job, FOLDER))
    return [(blob.size, blob.key) for blob in found if isinstance(blob, Blob)]


def _compacted(deps: Deps, job: JobName) -> list[str]:
    """The job's parts, once they are few enough to be read at the same time."""
    parts = sorted(_parts(deps, job))
    while len(parts) > MOST_PARTS:
        held = list(accumulate(size for size, _ in parts))
        small = min(bisect_right(held, _HELD_BYTES), _HELD_PARTS)
        count = max(small, MOST_PARTS)
        chosen = [key for _, key in parts[:count]]
        rows = _held(deps, chosen) if small == count else [_rows(deps, key) for key in chosen]
        made = (held[count - 1], _make_one(deps, job, chosen, rows))
        parts = sorted([made, *parts[count:]])
    return [key for _, key in parts]


def _held(deps: Deps, keys: list[str]) -> list[Iterator[Row]]:
    """The rows of small parts, which are read whole, several at once."""
    found: list[Iterator[Row]] = []
    for data in deps.reports.read_many(keys):
        if isinstance(data, BlobError):
            raise data
        found.append(map(_decode, data.splitlines()))
    return found


def _make_one(deps: Deps, job: JobName, keys: list[str], parts: list[Iterator[Row]]) -> str:
    """Write the rows of some parts as one part, then remove them: cut short between the two, rows
    are there twice, which changes nothing."""
    digest = blake2b("\n".join(keys).encode(), digest_size=12).hexdigest()
    made = deps.output_key(job, f"{FOLDER}merged-{digest}.jsonl")
    rows = (row for kept in _alive(deps, job, _by_document(parts)) for row in kept)
    deps.reports.write_stream(made, _pieces(_encode(row) + b"\n" for row in rows))
    for key in keys:
        deps.reports.delete(key)
    return made


def _alive(deps: Deps, job: JobName, found: Iterable[tuple[str, list[Row]]]) -> Iterator[list[Row]]:
    """Without the rows that no document will ever have again: those from before its report."""
    for part in slices(found):
        several = [path for path, rows in part if len(rows) > 1]
        known = deps.store.documents(job, several) if several else {}
        for path, rows in part:
            batch = known[path].rows_in if path in known else None
            since = next((row.planned_at for row in rows if row.batch == batch), None)
            yield [row for row in rows if since is None or row.planned_at >= since]


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
