"""The state: documents, groups, batches, jobs. Every write is a compare-and-set on `rev`.

A record is read with its revision (0: not stored yet), changed by the domain, and written back
under the revision it was read at; the store then raises the revision by one. A first revision
is one that no earlier record of the name had, so who read a removed record can't touch its
successor. Indexes (waiting, failed, due, groups, provider ids) follow the rows and may lag
behind them: they find candidates, and the conditional write is the truth.

Parts of documents (`shared.domain.parts`) are rows like documents'. They are found by their paths
and among what waits; `failed`, `all_documents` and `count` leave them out.

Adapters: `shared.adapters.sqlite_store` and `shared.adapters.dynamo_store`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.domain.batch import Batch, BatchStatus, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.pause import Pause


class StaleWrite(Exception):
    """Somebody else wrote this record since it was read: read it again and decide anew."""


class StoreUnavailable(Exception):
    """The state can't be read or written now. The message is one line for a person."""


class StoreUnusable(Exception):
    """The state is damaged, or of a newer version. The message says where and what to do."""


class Store(Protocol):
    """One home's state."""

    def documents(self, job: JobName, paths: Collection[str]) -> dict[str, Document]:
        """Those of the documents that are known, by path; read from the rows, not an index."""

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        """Write each document whose stored revision is still its `rev`; the paths that lost.

        A path appears once in a call.
        """

    def delete_documents(self, documents: Sequence[Document]) -> None:
        """Forget each document whose stored revision is still its `rev`."""

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        """The group's waiting documents by `content.order`, then path, read page by page."""

    def load(self, job: JobName, group: str, *, enough: Load) -> Load:
        """How much waits in the group; counting may stop once it reaches `enough` in either."""

    def failed(self, job: JobName) -> Iterator[Document]:
        """The job's failed documents by path, read page by page."""

    def all_documents(self, job: JobName) -> Iterator[Document]:
        """Every document of the job by path, read page by page."""

    def count(self, job: JobName) -> dict[str, dict[DocumentStatus, int]]:
        """How many documents of each of the job's groups are in each status, but for zeros."""

    def groups(self, job: JobName | None = None) -> Iterator[Group]:
        """The open groups, of one job or of all, by job and name."""

    def group(self, job: JobName, name: str) -> Group | None:
        """One open group, read from its row."""

    def swap_group(self, group: Group) -> Group:
        """Write a group. Raises StaleWrite."""

    def close_group(self, group: Group) -> None:
        """Remove a group if it is open. Raises StaleWrite when it was touched since."""

    def plan(self, batch: Batch, members: Sequence[Member]) -> Batch:
        """Save a new batch, its list first: a batch that can be read has its whole list.

        Raises StaleWrite when the id is taken.
        """

    def batch(self, batch_id: BatchId) -> Batch | None:
        """One batch, read from its row."""

    def members(self, batch_id: BatchId) -> list[Member]:
        """The list of a batch, by place; empty when there is no such batch."""

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        """Write a batch. Raises StaleWrite.

        What isn't `durable` a power cut may undo, as if it had never happened: only for what is
        found out again by whoever looks again.
        """

    def due(self, status: BatchStatus, *, now: datetime, limit: int) -> list[Batch]:
        """The batches of a live status whose `next_at` has come, longest due first."""

    def batches(self, job: JobName) -> Iterator[Batch]:
        """Every batch the job ever had, by `planned_at`, then id."""

    def known(self, provider_ids: Collection[ProviderId]) -> set[ProviderId]:
        """Which of the provider's batches a record here knows."""

    def checkpoint(self, batch_id: BatchId) -> bytes:
        """The last saved checkpoint of collecting a batch; empty when there is none."""

    def save_checkpoint(self, batch_id: BatchId, data: bytes) -> None:
        """Save how far collecting has come, for a batch that the caller holds."""

    def asked(self, job: JobName, block: int) -> Iterator[tuple[BatchId, bytes]]:
        """What batches of the job saved under this number, read from the rows, in any order."""

    def save_asked(self, batch: Batch, blocks: Mapping[int, bytes]) -> None:
        """Save what a new batch asks, for as long as its list is kept."""

    def job(self, name: JobName) -> Job | None:
        """What is remembered of a job."""

    def swap_job(self, job: Job) -> Job:
        """Write a job. Raises StaleWrite."""

    def stale_jobs(self) -> Iterator[Job]:
        """The jobs whose published failures and summary are behind."""

    def pause(self) -> Pause | None:
        """The pause of all submitting, if one was ever declared and not lifted."""

    def swap_pause(self, pause: Pause) -> Pause:
        """Write the pause. Raises StaleWrite."""

    def lift_pause(self, pause: Pause) -> None:
        """Remove the pause, if it is there. Raises StaleWrite when it was extended since."""

    def close(self) -> None:
        """Let go of files and connections."""
