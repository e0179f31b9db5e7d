"""The state in one SQLite file: records as JSON, and beside them the columns that are asked for.

Every index but one is as small as the work at hand: batches leave theirs when they are terminal.
One thread uses a store; any number of processes may open the same file.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

from shared.adapters import records
from shared.adapters.sqlite_file import SqliteFile, upsert
from shared.domain.batch import LIVE, Batch, BatchStatus, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.parts import PART_PREFIX
from shared.domain.pause import Pause
from shared.ports.store import StaleWrite

_PAGE = 1000
_AT_ONCE = 500
"""Values in one IN (…): older SQLite allows 999."""

_DOCUMENT = upsert(
    "documents", ("job", "path"), ("grp", "status", "place", "size", "rev", "record")
)
_GROUP = upsert("groups", ("job", "name"), ("rev", "record"))
_BATCH = upsert(
    "batches", ("id",), ("job", "status", "planned_at", "due_at", "provider_id", "rev", "record")
)
_JOB = upsert("jobs", ("name",), ("stale", "rev", "record"))
_PAUSE = upsert("pause", ("id",), ("rev", "record"))
_ONLY = 1

_NO_PART = f"substr(path, 1, 1) <> char({ord(PART_PREFIX)})"
"""Of the rows of documents, those that aren't parts."""

T = TypeVar("T")


class SqliteStore:
    """State in the file at `path`, whose folder exists, or in memory for `":memory:"`.

    `read_only` is for a folder that can't be written, and every write fails. Raises
    StoreUnavailable and StoreUnusable, here and from every method.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        self._file = SqliteFile(path, read_only=read_only)

    @classmethod
    def rehearsal(cls, path: Path) -> Self:
        """A store in memory that begins as the file at `path`, if there is one: whatever is done
        to it is gone with it. Raises like the store itself."""
        store = cls(":memory:")
        if path.is_file():
            store._file.copy_from(path)
        return store

    def documents(self, job: JobName, paths: Collection[str]) -> dict[str, Document]:
        wanted = list(paths)
        found: dict[str, Document] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._records(
                Document,
                f"SELECT record FROM documents WHERE job = ? AND path IN ({marks})",  # noqa: S608
                (job, *part),
            )
            found.update((document.path, document) for document in rows)
        return found

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        with self._file.writing() as write:
            return {
                document.path
                for document in documents
                if not write(_DOCUMENT, document.rev, _document_row(document))
            }

    def delete_documents(self, documents: Sequence[Document]) -> None:
        self._file.run_many(
            "DELETE FROM documents WHERE job = ? AND path = ? AND rev = ?",
            [(document.job, document.path, document.rev) for document in documents],
        )

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        return self._paged(
            Document,
            "SELECT record FROM documents WHERE job = ? AND grp = ? AND status = 'waiting'"
            " AND (place, path) >= (?, ?) ORDER BY place, path",
            (job, group),
            key=lambda document: (document.content.order, document.path),
        )

    def load(self, job: JobName, group: str, *, enough: Load) -> Load:
        [(count, size)] = self._file.rows(
            "SELECT count(*), coalesce(sum(size), 0) FROM (SELECT size FROM documents"
            " WHERE job = ? AND grp = ? AND status = 'waiting' ORDER BY place, path LIMIT ?)",
            (job, group, enough.documents),
        )
        return Load(documents=count, bytes=size)

    def failed(self, job: JobName) -> Iterator[Document]:
        return self._paged(
            Document,
            f"SELECT record FROM documents WHERE job = ? AND status = 'failed' AND {_NO_PART}"  # noqa: S608
            " AND path >= ? ORDER BY path",
            (job,),
            key=lambda document: (document.path,),
        )

    def all_documents(self, job: JobName) -> Iterator[Document]:
        return self._paged(
            Document,
            f"SELECT record FROM documents WHERE job = ? AND {_NO_PART} AND path >= ?"  # noqa: S608
            " ORDER BY path",
            (job,),
            key=lambda document: (document.path,),
        )

    def count(self, job: JobName) -> dict[str, dict[DocumentStatus, int]]:
        counts: dict[str, dict[DocumentStatus, int]] = {}
        for group, status, many in self._file.rows(
            f"SELECT grp, status, count(*) FROM documents WHERE job = ? AND {_NO_PART}"  # noqa: S608
            " GROUP BY grp, status",
            (job,),
        ):
            counts.setdefault(group, {})[DocumentStatus(status)] = many
        return counts

    def groups(self, job: JobName | None = None) -> Iterator[Group]:
        if job is None:
            return self._paged(
                Group,
                "SELECT record FROM groups WHERE (job, name) >= (?, ?) ORDER BY job, name",
                (),
                key=lambda group: (group.job, group.name),
            )
        return self._paged(
            Group,
            "SELECT record FROM groups WHERE job = ? AND name >= ? ORDER BY name",
            (job,),
            key=lambda group: (group.name,),
        )

    def group(self, job: JobName, name: str) -> Group | None:
        return self._one(Group, "SELECT record FROM groups WHERE job = ? AND name = ?", job, name)

    def swap_group(self, group: Group) -> Group:
        after = records.raised(group)
        row = (group.job, group.name, after.rev, records.encode(after))
        self._swap(_GROUP, group.rev, row, what=f"group {group.name!r} of job {group.job!r}")
        return after

    def close_group(self, group: Group) -> None:
        self._remove("groups", "job = ? AND name = ?", (group.job, group.name), group.rev)

    def plan(self, batch: Batch, members: Sequence[Member]) -> Batch:
        after = records.raised(batch)
        with self._file.writing() as write:
            if not write(_BATCH, batch.rev, _batch_row(after)):
                raise StaleWrite(f"batch {batch.id} is taken")
            self._file.run_many(
                "INSERT INTO members (batch, number, data) VALUES (?, ?, ?)",
                [(batch.id, number, data) for number, data in enumerate(records.packed(members))],
            )
        return after

    def batch(self, batch_id: BatchId) -> Batch | None:
        return self._one(Batch, "SELECT record FROM batches WHERE id = ?", batch_id)

    def members(self, batch_id: BatchId) -> list[Member]:
        rows = self._file.rows(
            "SELECT data FROM members WHERE batch = ? ORDER BY number", (batch_id,)
        )
        with self._file.translating():
            return records.unpacked(data for (data,) in rows)

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        after = records.raised(batch)
        # Durable is on the disk before it returns: the intent must survive a power cut that the
        # call it announces doesn't undo. That makes everything written earlier as durable.
        self._swap(_BATCH, batch.rev, _batch_row(after), what=f"batch {batch.id}", durable=durable)
        return after

    def due(self, status: BatchStatus, *, now: datetime, limit: int) -> list[Batch]:
        return self._records(
            Batch,
            "SELECT record FROM batches WHERE status = ? AND due_at <= ?"
            " ORDER BY due_at, id LIMIT ?",
            (status, records.stamp(now), limit),
        )

    def batches(self, job: JobName) -> Iterator[Batch]:
        return self._paged(
            Batch,
            "SELECT record FROM batches WHERE job = ? AND (planned_at, id) >= (?, ?)"
            " ORDER BY planned_at, id",
            (job,),
            key=lambda batch: (records.stamp(batch.planned_at), batch.id),
        )

    def known(self, provider_ids: Collection[ProviderId]) -> set[ProviderId]:
        wanted = list(provider_ids)
        found: set[ProviderId] = set()
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            found.update(
                ProviderId(text)
                for (text,) in self._file.rows(
                    f"SELECT provider_id FROM batches WHERE provider_id IN ({marks})",  # noqa: S608
                    tuple(part),
                )
            )
        return found

    def checkpoint(self, batch_id: BatchId) -> bytes:
        rows = self._file.rows("SELECT data FROM checkpoints WHERE batch = ?", (batch_id,))
        return bytes(rows[0][0]) if rows else b""

    def save_checkpoint(self, batch_id: BatchId, data: bytes) -> None:
        self._file.run_many(
            "INSERT OR REPLACE INTO checkpoints (batch, data) VALUES (?, ?)", [(batch_id, data)]
        )

    def asked(self, job: JobName, block: int) -> Iterator[tuple[BatchId, bytes]]:
        rows = self._file.rows(
            "SELECT batch, data FROM asked WHERE job = ? AND block = ?", (job, block)
        )
        return ((BatchId(batch), bytes(data)) for batch, data in rows)

    def save_asked(self, batch: Batch, blocks: Mapping[int, bytes]) -> None:
        self._file.run_many(
            "INSERT OR REPLACE INTO asked (job, block, batch, data) VALUES (?, ?, ?, ?)",
            [(batch.job, block, batch.id, data) for block, data in blocks.items()],
        )

    def job(self, name: JobName) -> Job | None:
        return self._one(Job, "SELECT record FROM jobs WHERE name = ?", name)

    def swap_job(self, job: Job) -> Job:
        after = records.raised(job)
        row = (job.name, job.stale, after.rev, records.encode(after))
        self._swap(_JOB, job.rev, row, what=f"job {job.name!r}")
        return after

    def stale_jobs(self) -> Iterator[Job]:
        return self._paged(
            Job,
            "SELECT record FROM jobs WHERE stale AND name >= ? ORDER BY name",
            (),
            key=lambda job: (job.name,),
        )

    def pause(self) -> Pause | None:
        return self._one(Pause, "SELECT record FROM pause WHERE id = ?", _ONLY)

    def swap_pause(self, pause: Pause) -> Pause:
        after = records.raised(pause)
        row = (_ONLY, after.rev, records.encode(after))
        self._swap(_PAUSE, pause.rev, row, what="the pause")
        return after

    def lift_pause(self, pause: Pause) -> None:
        self._remove("pause", "id = ?", (_ONLY,), pause.rev)

    def close(self) -> None:
        self._file.close()

    def _records(self, kind: type[T], sql: str, values: Sequence[object]) -> list[T]:
        rows = self._file.rows(sql, values)
        with self._file.translating():
            return [records.decode(kind, text) for (text,) in rows]

    def _one(self, kind: type[T], sql: str, *key: object) -> T | None:
        return next(iter(self._records(kind, sql, key)), None)

    def _paged(
        self,
        kind: type[T],
        sql: str,
        fixed: tuple[str, ...],
        *,
        key: Callable[[T], tuple[str, ...]],
    ) -> Iterator[T]:
        """All records of a query whose last parameters are where in its order to begin."""
        start = ("",) * (sql.count("?") - len(fixed))
        while True:
            page = self._records(kind, f"{sql} LIMIT ?", (*fixed, *start, _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            *before, last = key(page[-1])
            start = (*before, last + "\0")

    def _swap(
        self,
        statements: tuple[str, str],
        rev: int,
        row: Sequence[object],
        *,
        what: str,
        durable: bool = False,
    ) -> None:
        with self._file.writing(durable=durable) as write:
            if not write(statements, rev, row):
                raise StaleWrite(f"{what} was written by somebody else")

    def _remove(self, table: str, where: str, key: Sequence[object], rev: int) -> None:
        with self._file.writing():
            held = self._file.rows(f"SELECT rev FROM {table} WHERE {where}", key)  # noqa: S608
            if held and held[0][0] != rev:
                raise StaleWrite(f"the row of {table} was written by somebody else")
            self._file.run_many(f"DELETE FROM {table} WHERE {where}", [key])  # noqa: S608


def _document_row(document: Document) -> tuple[object, ...]:
    after = records.raised(document)
    return (
        document.job,
        document.path,
        document.group,
        document.status,
        document.content.order,
        document.content.size,
        after.rev,
        records.encode(after),
    )


def _batch_row(batch: Batch) -> tuple[object, ...]:
    return (
        batch.id,
        batch.job,
        batch.status,
        records.stamp(batch.planned_at),
        records.stamp(batch.next_at) if batch.status in LIVE else None,
        batch.provider_id,
        batch.rev,
        records.encode(batch),
    )
