"""The state in one DynamoDB table: rows are read consistently, gsi1 and gsi2 find candidates.

A batch's list and its place in history are written before its row, so what can be read is whole;
a crash in between leaves pieces under an id that nobody uses again. Documents are written many to a
call, everything else by itself.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from shared.adapters import dynamo_keys as keys
from shared.adapters import records
from shared.adapters.dynamo_keys import Item
from shared.adapters.dynamo_table import Table
from shared.domain.batch import LIVE, TERMINAL, Batch, BatchStatus, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.parts import is_part
from shared.domain.pause import Pause
from shared.ports.store import StaleWrite, StoreUnavailable, StoreUnusable

_GSI1 = "gsi1"
_GSI2 = "gsi2"
_PAGE = 100
"""Pointers followed at once: one BatchGetItem."""

THREADS = 16
"""Calls at a time. Each costs 1 to 5 ms of CPU here and more of waiting there."""

PAPERS_KEPT = timedelta(days=90)
"""How long the list and the checkpoint of a batch stay after its end: somebody may look back."""

T = TypeVar("T")


class DynamoStore:
    """State in a table laid out as in infra/template.yaml; any thread may use it.

    `client` is boto3's for DynamoDB, made as `shared.adapters.dynamo_table` says. Raises
    StoreUnavailable and StoreUnusable from every method.
    """

    def __init__(self, client: Any, table_name: str, *, threads: int = THREADS) -> None:
        self._table = Table(client, table_name, threads=threads)

    def documents(self, job: JobName, paths: Collection[str]) -> dict[str, Document]:
        items = self._table.get_many([keys.document_key(job, path) for path in paths])
        return {document.path: document for document in self._records(Document, items)}

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        won = self._table.put_many(
            [(keys.document_item(records.raised(each)), each.rev) for each in documents]
        )
        return {
            document.path for document, is_won in zip(documents, won, strict=True) if not is_won
        }

    def delete_documents(self, documents: Sequence[Document]) -> None:
        self._table.each(self._delete_document, documents)

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        return self._queried(Document, keys.waiting(job, group), index=_GSI1)

    def load(self, job: JobName, group: str, *, enough: Load) -> Load:
        documents = size = 0
        pages = self._table.query(
            keys.waiting(job, group), index=_GSI1, fields=("size",), limit=max(enough.documents, 1)
        )
        for page in pages:
            documents += len(page)
            size += sum(int(item["size"]["N"]) for item in page)
            if documents >= enough.documents or size >= enough.bytes:
                break
        return Load(documents=documents, bytes=size)

    def failed(self, job: JobName) -> Iterator[Document]:
        return _documents(self._queried(Document, keys.failed(job), index=_GSI1))

    def all_documents(self, job: JobName) -> Iterator[Document]:
        return _documents(self._queried(Document, keys.of_job(job), prefix=keys.DOC))

    def count(self, job: JobName) -> dict[str, dict[DocumentStatus, int]]:
        counts: dict[str, Counter[DocumentStatus]] = {}
        fields = ("sk", "status", "group")
        for page in self._table.query(keys.of_job(job), prefix=keys.DOC, fields=fields):
            for item in page:
                if keys.is_of_part(item):
                    continue
                group = counts.setdefault(item["group"]["S"], Counter())
                group[DocumentStatus(item["status"]["S"])] += 1
        return {group: dict(found) for group, found in counts.items()}

    def groups(self, job: JobName | None = None) -> Iterator[Group]:
        prefix = "" if job is None else keys.groups_of(job)
        return self._queried(Group, keys.GROUPS, index=_GSI1, prefix=prefix)

    def group(self, job: JobName, name: str) -> Group | None:
        return self._one(Group, keys.group_key(job, name))

    def swap_group(self, group: Group) -> Group:
        after = records.raised(group)
        self._swap(keys.group_item(after), group.rev, f"group {group.name!r} of {group.job!r}")
        return after

    def close_group(self, group: Group) -> None:
        if not self._table.delete(keys.group_key(group.job, group.name), rev=group.rev):
            raise StaleWrite(f"group {group.name!r} of {group.job!r} was touched")

    def plan(self, batch: Batch, members: Sequence[Member]) -> Batch:
        after = records.raised(batch)
        for place, data in enumerate(records.packed(members)):
            self._swap(keys.members_item(batch.id, place, data), 0, f"list of batch {batch.id}")
        self._table.overwrite(keys.pointer_item(batch))
        self._swap(keys.batch_item(after), batch.rev, f"batch {batch.id}")
        return after

    def batch(self, batch_id: BatchId) -> Batch | None:
        return self._one(Batch, keys.batch_key(batch_id))

    def members(self, batch_id: BatchId) -> list[Member]:
        if self._table.get(keys.batch_key(batch_id)) is None:
            return []
        pages = self._table.query(keys.of_batch(batch_id), prefix=keys.MEMBERS)
        try:
            return records.unpacked(item["data"]["B"] for page in pages for item in page)
        except records.UnreadableError as error:
            raise self._unusable(keys.batch_key(batch_id), error) from error

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        del durable  # everything is
        after = records.raised(batch)
        self._swap(keys.batch_item(after), batch.rev, f"batch {batch.id}")
        if batch.status in TERMINAL:
            self._let_expire(batch)
        return after

    def due(self, status: BatchStatus, *, now: datetime, limit: int) -> list[Batch]:
        if status not in LIVE or limit < 1:
            return []
        found: list[Item] = []
        pages = self._table.query(
            keys.live(status), index=_GSI1, until=keys.due_by(now), limit=limit
        )
        for page in pages:
            found += page
            if len(found) >= limit:
                break
        return list(self._records(Batch, found[:limit]))

    def batches(self, job: JobName) -> Iterator[Batch]:
        for page in self._table.query(keys.of_job(job), prefix=keys.BATCH, limit=_PAGE):
            ids = [BatchId(item["batch"]["S"]) for item in page]
            items = self._table.get_many([keys.batch_key(batch_id) for batch_id in ids])
            found = {batch.id: batch for batch in self._records(Batch, items)}
            yield from (found[batch_id] for batch_id in ids if batch_id in found)

    def known(self, provider_ids: Collection[ProviderId]) -> set[ProviderId]:
        wanted = list(provider_ids)
        found = self._table.each(self._is_known, wanted)
        return {each for each, is_known in zip(wanted, found, strict=True) if is_known}

    def checkpoint(self, batch_id: BatchId) -> bytes:
        item = self._table.get(keys.checkpoint_key(batch_id))
        return bytes(item["data"]["B"]) if item else b""

    def save_checkpoint(self, batch_id: BatchId, data: bytes) -> None:
        self._table.overwrite(keys.checkpoint_item(batch_id, data))

    def asked(self, job: JobName, block: int) -> Iterator[tuple[BatchId, bytes]]:
        for page in self._table.query(keys.asked(job, block)):
            for item in page:
                yield BatchId(item["sk"]["S"]), bytes(item["data"]["B"])

    def save_asked(self, batch: Batch, blocks: Mapping[int, bytes]) -> None:
        expires = int((batch.planned_at + PAPERS_KEPT).timestamp())
        items = [
            keys.asked_item(batch.job, block, batch.id, data, expires=expires)
            for block, data in blocks.items()
        ]
        self._table.each(self._table.overwrite, items)

    def job(self, name: JobName) -> Job | None:
        return self._one(Job, keys.job_key(name))

    def swap_job(self, job: Job) -> Job:
        after = records.raised(job)
        self._swap(keys.job_item(after), job.rev, f"job {job.name!r}")
        return after

    def stale_jobs(self) -> Iterator[Job]:
        return self._queried(Job, keys.STALE, index=_GSI1)

    def pause(self) -> Pause | None:
        return self._one(Pause, keys.pause_key())

    def swap_pause(self, pause: Pause) -> Pause:
        after = records.raised(pause)
        self._swap(keys.pause_item(after), pause.rev, "the pause")
        return after

    def lift_pause(self, pause: Pause) -> None:
        if not self._table.delete(keys.pause_key(), rev=pause.rev):
            raise StaleWrite("the pause was extended")

    def close(self) -> None:
        self._table.close()

    def _let_expire(self, batch: Batch) -> None:
        """Have the table forget the list and the checkpoint of a batch that has come to its end.

        Nobody asks for them any more, so it may fail: then they stay. Documents and batches stay
        anyway, as paying once is derived from them.
        """
        at = max(batch.planned_at, batch.next_at) + PAPERS_KEPT
        with suppress(StoreUnavailable, StoreUnusable, ClientError):
            for page in self._table.query(keys.of_batch(batch.id), fields=("pk", "sk")):
                papers = [item for item in page if keys.is_paper(item)]
                self._table.each(partial(self._table.expire, at=int(at.timestamp())), papers)

    def _delete_document(self, document: Document) -> bool:
        return self._table.delete(keys.document_key(document.job, document.path), rev=document.rev)

    def _is_known(self, provider_id: ProviderId) -> bool:
        return any(self._table.query(keys.provider(provider_id), index=_GSI2))

    def _swap(self, item: Item, rev: int, what: str) -> None:
        if not self._table.put(item, rev=rev):
            raise StaleWrite(f"{what} was written by somebody else")

    def _one(self, kind: type[T], key: Item) -> T | None:
        item = self._table.get(key)
        return next(self._records(kind, [item])) if item else None

    def _queried(self, kind: type[T], pk: str, *, index: str = "", prefix: str = "") -> Iterator[T]:
        for page in self._table.query(pk, index=index, prefix=prefix):
            yield from self._records(kind, page)

    def _records(self, kind: type[T], items: Iterable[Item]) -> Iterator[T]:
        for item in items:
            try:
                yield records.decode(kind, item["record"]["S"])
            except records.UnreadableError as error:
                raise self._unusable(item, error) from error

    def _unusable(self, item: Item, error: records.UnreadableError) -> StoreUnusable:
        place = f"{item['pk']['S']} {item['sk']['S']}"
        return StoreUnusable(
            f"the table {self._table.name} holds something at {place!r} that can't be read"
            f" ({error}): was it written by a newer docmill? Deploy that again"
        )


def _documents(found: Iterator[Document]) -> Iterator[Document]:
    return (document for document in found if not is_part(document.path))
