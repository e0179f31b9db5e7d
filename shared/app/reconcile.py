"""Reconcile: what stands still, because whoever worked on it is gone, is brought to an end."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.app.deps import Deps
from shared.app.doubt import resolve_doubts
from shared.app.groups import mark_stale
from shared.app.settle import settle
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.ids import BatchId
from shared.domain.policy import EVER
from shared.ports.store import StaleWrite

_PER_ROUND = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was brought on; `to_collect` are ended batches that nobody is collecting."""

    adopted: int = 0
    released: int = 0
    undecided: int = 0
    to_collect: tuple[BatchId, ...] = ()


async def reconcile(
    deps: Deps, *, until: datetime | None = None, take_over: bool = False
) -> Reconciled:
    """Look after every batch whose time has come without anybody bringing it on.

    Nothing more is begun once the clock passes `until`; the next round goes on. With `take_over`,
    leases are not respected: for the start of a home with a single process, where whoever held
    them is dead; and doubts are looked into at once, whatever was planned.
    """
    due_by = deps.clock() + (EVER if take_over else timedelta(0))

    def due(status: BatchStatus) -> Iterator[Batch]:
        for batch in deps.store.due(status, now=due_by, limit=_PER_ROUND):
            if until is not None and deps.clock() >= until:
                return
            yield batch

    for batch in due(BatchStatus.SUBMITTING):
        _doubt(deps, batch)
    for status in (BatchStatus.RELEASING, BatchStatus.FAILING):
        for batch in due(status):
            with suppress(StaleWrite):  # somebody else settles it
                lease = deps.clock() + deps.policy.lease
                settle(deps, deps.store.swap_batch(after(batch, BatchEvent.TAKEN, next_at=lease)))
    adopted, given_back, undecided = await resolve_doubts(deps, list(due(BatchStatus.IN_DOUBT)))
    ended = deps.store.due(BatchStatus.ENDED, now=due_by, limit=_PER_ROUND)
    return Reconciled(
        adopted=adopted,
        released=given_back,
        undecided=undecided,
        to_collect=tuple(batch.id for batch in ended),
    )


def _doubt(deps: Deps, batch: Batch) -> None:
    """Whoever called `create` is gone, and with it the answer."""
    now = deps.clock()
    note = "the process that submitted it ended before the answer was saved"
    try:
        deps.store.swap_batch(
            after(
                batch,
                BatchEvent.UNANSWERED,
                doubt_since=now,
                note=note,
                next_at=now + deps.policy.doubt_grace,
            )
        )
    except StaleWrite:
        return
    mark_stale(deps.store, batch.job)
    deps.emit("batch_in_doubt", batch=batch.id, requests=batch.requests, message=note)
