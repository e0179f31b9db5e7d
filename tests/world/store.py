"""The store as one run has it: every call passes the gate, every write is mirrored and judged."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from shared.domain.batch import Batch, BatchStatus, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.parts import answer_name
from shared.domain.pause import Pause
from shared.ports.store import Store, StoreUnavailable
from tests.world.gate import Gate
from tests.world.weather import STORE_FAULTS, STORE_WRITE_FAULTS

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class FaultyStore:
    """`by_item`: documents are written one by one, as into a table, and some may be before an
    error. `forgives`: a person's retry, which may pay again."""

    inner: Store
    gate: Gate
    by_item: bool
    forgives: bool = False

    def _read(self, name: str, effect: Callable[[], T], *about: object) -> T:
        return self.gate.call(f"store.{name}", STORE_FAULTS, effect, *about)

    def _write(self, name: str, effect: Callable[[], T], *about: object) -> T:
        return self.gate.call(f"store.{name}", STORE_WRITE_FAULTS, effect, *about)

    def documents(self, job: JobName, paths: Collection[str]) -> dict[str, Document]:
        wanted = sorted(paths)
        found = self._read("documents", lambda: self.inner.documents(job, wanted), job, wanted)
        return dict(sorted(found.items()))

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        ordered = sorted(documents, key=lambda document: document.path)
        parts = [[document] for document in ordered] if self.by_item else [ordered]
        lost: set[str] = set()
        for part in parts:
            if part:
                lost |= self._write("swap_documents", lambda part=part: self._swap(part), part)  # type: ignore[misc]  # mypy doesn't infer a default
        return lost

    def _swap(self, documents: Sequence[Document]) -> set[str]:
        lost = self.inner.swap_documents(documents)
        mirror, rules = self.gate.stage.mirror, self.gate.stage.rules
        for after in documents:
            if after.path in lost:
                continue
            key = (after.job, after.path)
            before = mirror.documents.get(key)
            mirror.documents[key] = after
            if before is not None:
                rules.settled(before, after)
                if self.forgives and before.status is DocumentStatus.FAILED:
                    self._forgive(after)
        rules.state()
        return lost

    def _forgive(self, document: Document) -> None:
        """A person asked for it again: that may be paid for, but not parts that are answered."""
        mirror, ledger = self.gate.stage.mirror, self.gate.stage.ledger
        kept: set[str] = set()
        paths = document.parts.all_paths(document.path) if document.parts else ()
        for path in paths:
            row = mirror.documents.get((document.job, path))
            if row is not None and row.status is DocumentStatus.REPORTED:
                answer = f"{document.job}/{answer_name(path)}"
                kept.add(self.gate.stage.rules.answers.get(answer, ""))
        ledger.forgive_all_but(f"{document.job}/{document.path}", kept)

    def delete_documents(self, documents: Sequence[Document]) -> None:
        def effect() -> None:
            self.inner.delete_documents(documents)
            for each in documents:
                if not self.inner.documents(each.job, [each.path]):
                    self.gate.stage.mirror.documents.pop((each.job, each.path), None)
                    forgotten = each.status is DocumentStatus.FAILED or each.parts is not None
                    if forgotten and each.part is None:  # put back, it is asked for again
                        self.gate.stage.ledger.forgive(f"{each.job}/{each.path}")

        self._write("delete_documents", effect, documents)

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        found = self._read("waiting", lambda: list(self.inner.waiting(job, group)), job, group)
        return iter(found)

    def load(self, job: JobName, group: str, *, enough: Load) -> Load:
        return self._read("load", lambda: self.inner.load(job, group, enough=enough), job, group)

    def failed(self, job: JobName) -> Iterator[Document]:
        return iter(self._read("failed", lambda: list(self.inner.failed(job)), job))

    def all_documents(self, job: JobName) -> Iterator[Document]:
        return iter(self._read("all_documents", lambda: list(self.inner.all_documents(job)), job))

    def count(self, job: JobName) -> dict[str, dict[DocumentStatus, int]]:
        return self._read("count", lambda: self.inner.count(job), job)

    def groups(self, job: JobName | None = None) -> Iterator[Group]:
        return iter(self._read("groups", lambda: list(self.inner.groups(job)), job or "all"))

    def group(self, job: JobName, name: str) -> Group | None:
        return self._read("group", lambda: self.inner.group(job, name), job, repr(name))

    def swap_group(self, group: Group) -> Group:
        def effect() -> Group:
            after = self.inner.swap_group(group)
            self.gate.stage.mirror.groups[group.job, group.name] = after
            return after

        return self._write("swap_group", effect)

    def close_group(self, group: Group) -> None:
        def effect() -> None:
            self.inner.close_group(group)
            self.gate.stage.mirror.groups.pop((group.job, group.name), None)
            self.gate.stage.rules.state()

        self._write("close_group", effect, group)

    def plan(self, batch: Batch, members: Sequence[Member]) -> Batch:
        def effect() -> Batch:
            after = self.inner.plan(batch, members)
            self.gate.stage.mirror.members[batch.id] = tuple(members)
            self._mirrored(after)
            return after

        return self._write("plan", effect, [member.path for member in members])

    def batch(self, batch_id: BatchId) -> Batch | None:
        return self._read("batch", lambda: self.inner.batch(batch_id), batch_id)

    def members(self, batch_id: BatchId) -> list[Member]:
        def effect() -> list[Member]:
            return self.inner.members(batch_id)

        return self._read("members", effect, batch_id)

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        def effect() -> Batch:
            after = self.inner.swap_batch(batch, durable=durable)
            before = self.gate.stage.mirror.batches.get(batch.id)
            self._mirrored(after)
            if after.status is BatchStatus.COLLECTED and before and before.status != after.status:
                self.gate.stage.rules.collected(after)
            return after

        return self._write("swap_batch", effect, batch.id, "to", batch.status)

    def _mirrored(self, batch: Batch) -> None:
        self.gate.stage.mirror.batches[batch.id] = batch
        self.gate.stage.rules.state()

    def due(self, status: BatchStatus, *, now: datetime, limit: int) -> list[Batch]:
        def effect() -> list[Batch]:
            return self.inner.due(status, now=now, limit=limit)

        return self._read("due", effect, status)

    def batches(self, job: JobName) -> Iterator[Batch]:
        return iter(self._read("batches", lambda: list(self.inner.batches(job)), job))

    def known(self, provider_ids: Collection[ProviderId]) -> set[ProviderId]:
        wanted = sorted(provider_ids)
        return self._read("known", lambda: self.inner.known(wanted), wanted)

    def checkpoint(self, batch_id: BatchId) -> bytes:
        return self._read("checkpoint", lambda: self.inner.checkpoint(batch_id), batch_id)

    def asked(self, job: JobName, block: int) -> Iterator[tuple[BatchId, bytes]]:
        found = self._read("asked", lambda: sorted(self.inner.asked(job, block)), job, block)
        return iter(found)

    def save_asked(self, batch: Batch, blocks: Mapping[int, bytes]) -> None:
        def effect() -> None:
            self.inner.save_asked(batch, blocks)

        self._write("save_asked", effect, batch.id, sorted(blocks))

    def save_checkpoint(self, batch_id: BatchId, data: bytes) -> None:
        def effect() -> None:
            self.inner.save_checkpoint(batch_id, data)

        self._write("save_checkpoint", effect, batch_id, data)

    def job(self, name: JobName) -> Job | None:
        return self._read("job", lambda: self.inner.job(name), name)

    def swap_job(self, job: Job) -> Job:
        def effect() -> Job:
            self.gate.stage.mirror.jobs[job.name] = after = self.inner.swap_job(job)
            return after

        return self._write("swap_job", effect)

    def stale_jobs(self) -> Iterator[Job]:
        return iter(self._read("stale_jobs", lambda: list(self.inner.stale_jobs())))

    def pause(self) -> Pause | None:
        return self._read("pause", self.inner.pause)

    def swap_pause(self, pause: Pause) -> Pause:
        def effect() -> Pause:
            self.gate.stage.mirror.pause = after = self.inner.swap_pause(pause)
            return after

        return self._write("swap_pause", effect)

    def lift_pause(self, pause: Pause) -> None:
        def effect() -> None:
            self.inner.lift_pause(pause)
            self.gate.stage.mirror.pause = None

        self._write("lift_pause", effect, pause)

    def close(self) -> None:
        raise StoreUnavailable("a run doesn't own the store")
