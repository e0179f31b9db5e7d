"""Settling a batch that is over without results: its documents are given back, or failed."""

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.groups import mark_stale, open_groups_of
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.document import Document, DocumentStatus, Failure, failed, released
from shared.domain.ids import CustomId
from shared.domain.polling import backoff

_SLICE = 500
_ROUNDS = 20


def settle(deps: Deps, batch: Batch) -> None:
    """Give back (RELEASING) or fail (FAILING) every document the batch holds, then close it.

    The decision is saved in the batch's status already, so a crash in here is finished by the
    next who calls it, with the same result.
    """
    failure = batch.failure if batch.status is BatchStatus.FAILING else None
    members = deps.store.members(batch.id)
    mark_stale(deps.store, batch.job)
    for start in range(0, len(members), _SLICE):
        part = members[start : start + _SLICE]
        ids = {member.path: member.custom_id for member in part}
        paths = set(ids)
        for _ in range(_ROUNDS):
            held = _held(deps, batch, paths)
            if not held:
                break
            freed = [_freed(deps, document, failure, ids[document.path]) for document in held]
            waiting = [d for d in freed if d.status is DocumentStatus.WAITING]
            open_groups_of(deps.store, waiting, now=deps.clock(), ready=True)
            paths = deps.store.swap_documents(freed)
        else:
            put_off_settling(deps, batch)
            return
    deps.store.swap_batch(after(batch, BatchEvent.SETTLED))
    mark_stale(deps.store, batch.job)
    deps.emit("batch_settled", batch=batch.id, status=batch.status, note=batch.note)


def put_off_settling(deps: Deps, batch: Batch) -> None:
    """Let reconcile go on with it later."""
    tries = batch.tries + 1
    deps.store.swap_batch(
        after(batch, BatchEvent.TAKEN, tries=tries, next_at=deps.clock() + backoff(tries))
    )


def _held(deps: Deps, batch: Batch, paths: set[str]) -> list[Document]:
    known = deps.store.documents(batch.job, paths)
    return [document for document in known.values() if document.batch == batch.id]


def _freed(
    deps: Deps, document: Document, failure: Failure | None, custom_id: CustomId
) -> Document:
    now = deps.clock()
    if failure is None:
        return released(document, now=now)
    return failed(
        document,
        replace(failure, custom_id=custom_id, attempts=document.attempts + 1),
        now=now,
    )
