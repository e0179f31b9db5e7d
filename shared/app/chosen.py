"""A store in which only some documents can be sent: for the engine, nothing else waits.

What else waits stays as it is, with its groups and plans, for a run without such a limit. All other
reads and writes are the store's own, so batches under way go on and are collected.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, cast

from shared.app.deps import Deps
from shared.app.slices import slices
from shared.app.submit import abandon
from shared.domain.batch import Batch, BatchStatus, Member
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group, Load
from shared.domain.ids import JobName
from shared.domain.parts import is_part, whole_of
from shared.domain.policy import EVER
from shared.ports.store import Store

_ALL = 1_000_000


def only(store: Store, job: JobName, paths: Collection[str]) -> Store:
    """The store, in which nothing but these documents of the job waits.

    Assumes to be the only process on this state: closing a group isn't decided by its revision
    alone.
    """
    return cast("Store", _Only(store, job, frozenset(paths)))


def give_up_plans(deps: Deps, job: JobName, paths: Collection[str]) -> None:
    """Let what an earlier run planned, and never sent, wait again where that holds other documents:
    one of these may be in there. Assumes the same."""
    wanted = frozenset(paths)
    for batch in deps.store.due(BatchStatus.PLANNED, now=deps.clock() + EVER, limit=_ALL):
        if batch.job == job and not _within(deps.store.members(batch.id), wanted):
            abandon(deps, batch, "given up for a smaller one before it was sent")


def _within(members: Iterable[Member], paths: frozenset[str]) -> bool:
    wholes = (whole_of(each.path) if is_part(each.path) else each.path for each in members)
    return all(whole in paths for whole in wholes)


class _Only:
    """What is asked for to find something to send is answered here; `__getattr__` leaves the rest
    to the store."""

    def __init__(self, store: Store, job: JobName, paths: frozenset[str]) -> None:
        self._store = store
        self._job = job
        self._paths = paths

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        """Those of the documents that wait in the group, in the store's order."""
        found = [each for each in self._waiting(job) if each.group == group]
        yield from sorted(found, key=lambda each: (each.content.order, each.path))

    def load(self, job: JobName, group: str, *, enough: Load) -> Load:  # noqa: ARG002 - the port's
        """How much of it waits."""
        sizes = [each.content.size for each in self.waiting(job, group)]
        return Load(documents=len(sizes), bytes=sum(sizes))

    def groups(self, job: JobName | None = None) -> Iterator[Group]:
        """The open groups in which some of it waits."""
        names = {each.group for each in self._waiting(self._job)}
        for group in self._store.groups(job):
            if group.job == self._job and group.name in names:
                yield group

    def close_group(self, group: Group) -> None:
        """Leave a group open in which others wait."""
        if next(self._store.waiting(group.job, group.name), None) is None:
            self._store.close_group(group)

    def due(self, status: BatchStatus, **when: Any) -> list[Batch]:
        """Plans only where they hold nothing else."""
        if status is not BatchStatus.PLANNED:
            return self._store.due(status, **when)
        plans = self._store.due(status, **{**when, "limit": _ALL})
        return [batch for batch in plans if self._holds(batch)][: when["limit"]]

    def _holds(self, batch: Batch) -> bool:
        return batch.job == self._job and _within(self._store.members(batch.id), self._paths)

    def _waiting(self, job: JobName) -> Iterator[Document]:
        if job != self._job:
            return
        for part in slices(sorted(self._paths)):
            for document in self._store.documents(job, part).values():
                if document.status is DocumentStatus.WAITING:
                    yield document
                if document.parts is not None and document.parts.counts:
                    yield from self._waiting_parts(document)

    def _waiting_parts(self, document: Document) -> Iterator[Document]:
        if document.parts is not None:
            paths = document.parts.all_paths(document.path)
            for part in self._store.documents(document.job, paths).values():
                if part.status is DocumentStatus.WAITING:
                    yield part
