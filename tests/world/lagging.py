"""An index that lags behind its rows, as DynamoDB's do: candidates may be old, rows never are.

Changes of one record arrive in their order; those of different records in any.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any, TypeVar

from shared.adapters import records
from shared.domain.batch import LIVE, Batch, BatchStatus, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.pause import Pause
from shared.ports.store import Store

R = TypeVar("R", Document, Group, Batch, Job)
Name = tuple[type[Any], str, str]


@dataclass(slots=True, kw_only=True)
class Index:
    """What of the rows can be found by now."""

    rng: random.Random
    clock: Callable[[], datetime]
    lag: timedelta
    _visible: dict[Name, Any] = field(default_factory=dict)
    _coming: list[tuple[datetime, int, Name, Any]] = field(default_factory=list)
    _latest: dict[Name, datetime] = field(default_factory=dict)
    _number: int = 0

    def note(self, kind: type[R], first: str, second: str, record: R | None) -> None:
        """A row was written, or removed."""
        name = (kind, first, second)
        lag = self.lag * self.rng.random() ** 4  # mostly little
        at = max(self.clock() + lag, self._latest.get(name, self.clock()))
        self._latest[name] = at
        self._number += 1
        heappush(self._coming, (at, self._number, name, record))

    def found(self, kind: type[R]) -> list[R]:
        """All records of a kind that the index shows now."""
        now = self.clock()
        while self._coming and self._coming[0][0] <= now:
            _, _, name, record = heappop(self._coming)
            if record is None:
                self._visible.pop(name, None)
            else:
                self._visible[name] = record
        return [
            self._visible[name] for name in sorted(self._visible, key=_order) if name[0] is kind
        ]


def _order(name: Name) -> tuple[str, str, str]:
    return (name[0].__name__, name[1], name[2])


class LaggingStore:
    """A store whose rows are those of another, and whose index is behind them."""

    def __init__(self, rows: Store, index: Index) -> None:
        self._rows = rows
        self._index = index

    def documents(self, job: JobName, paths: Collection[str]) -> dict[str, Document]:
        return self._rows.documents(job, paths)

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        lost = self._rows.swap_documents(documents)
        for document in documents:
            if document.path not in lost:
                now = self._rows.documents(document.job, [document.path])[document.path]
                self._index.note(Document, document.job, document.path, now)
        return lost

    def delete_documents(self, documents: Sequence[Document]) -> None:
        self._rows.delete_documents(documents)
        for document in documents:
            if not self._rows.documents(document.job, [document.path]):
                self._index.note(Document, document.job, document.path, None)

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        found = [
            document
            for document in self._index.found(Document)
            if document.job == job
            and document.group == group
            and document.status is DocumentStatus.WAITING
        ]
        return iter(sorted(found, key=lambda each: (each.content.order, each.path)))

    def load(self, job: JobName, group: str, *, enough: Load) -> Load:
        found = list(self.waiting(job, group))
        return Load(documents=len(found), bytes=sum(each.content.size for each in found))

    def failed(self, job: JobName) -> Iterator[Document]:
        found = self._index.found(Document)
        failed = [d for d in found if d.job == job and d.status is DocumentStatus.FAILED]
        return iter([d for d in failed if d.part is None])

    def all_documents(self, job: JobName) -> Iterator[Document]:
        return self._rows.all_documents(job)

    def count(self, job: JobName) -> dict[str, dict[DocumentStatus, int]]:
        return self._rows.count(job)

    def groups(self, job: JobName | None = None) -> Iterator[Group]:
        return iter([each for each in self._index.found(Group) if job in (None, each.job)])

    def group(self, job: JobName, name: str) -> Group | None:
        return self._rows.group(job, name)

    def swap_group(self, group: Group) -> Group:
        after = self._rows.swap_group(group)
        self._index.note(Group, group.job, group.name, after)
        return after

    def close_group(self, group: Group) -> None:
        self._rows.close_group(group)
        self._index.note(Group, group.job, group.name, None)

    def plan(self, batch: Batch, members: Sequence[Member]) -> Batch:
        return self._seen(self._rows.plan(batch, members))

    def batch(self, batch_id: BatchId) -> Batch | None:
        return self._rows.batch(batch_id)

    def members(self, batch_id: BatchId) -> list[Member]:
        return self._rows.members(batch_id)

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        return self._seen(self._rows.swap_batch(batch, durable=durable))

    def due(self, status: BatchStatus, *, now: datetime, limit: int) -> list[Batch]:
        found = [b for b in self._index.found(Batch) if b.status is status and b.next_at <= now]
        if status not in LIVE:
            return []
        return sorted(found, key=lambda each: (records.stamp(each.next_at), each.id))[:limit]

    def batches(self, job: JobName) -> Iterator[Batch]:
        return self._rows.batches(job)

    def known(self, provider_ids: Collection[ProviderId]) -> set[ProviderId]:
        found = {batch.provider_id for batch in self._index.found(Batch)}
        return {each for each in provider_ids if each in found}

    def checkpoint(self, batch_id: BatchId) -> bytes:
        return self._rows.checkpoint(batch_id)

    def asked(self, job: JobName, block: int) -> Iterator[tuple[BatchId, bytes]]:
        return self._rows.asked(job, block)

    def save_asked(self, batch: Batch, blocks: Mapping[int, bytes]) -> None:
        self._rows.save_asked(batch, blocks)

    def save_checkpoint(self, batch_id: BatchId, data: bytes) -> None:
        self._rows.save_checkpoint(batch_id, data)

    def job(self, name: JobName) -> Job | None:
        return self._rows.job(name)

    def swap_job(self, job: Job) -> Job:
        after = self._rows.swap_job(job)
        self._index.note(Job, job.name, "", after)
        return after

    def stale_jobs(self) -> Iterator[Job]:
        return iter([each for each in self._index.found(Job) if each.stale])

    def pause(self) -> Pause | None:
        return self._rows.pause()

    def swap_pause(self, pause: Pause) -> Pause:
        return self._rows.swap_pause(pause)

    def lift_pause(self, pause: Pause) -> None:
        self._rows.lift_pause(pause)

    def close(self) -> None:
        self._rows.close()

    def _seen(self, batch: Batch) -> Batch:
        self._index.note(Batch, batch.id, "", batch)
        return batch
