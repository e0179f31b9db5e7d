"""Settling a batch that is over without results: its documents are given back, or failed."""

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.groups import mark_stale, open_groups_of
from shared.app.parts import bring_on
from shared.app.slices import slices
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.document import Document, DocumentStatus, failed, released
from shared.domain.ids import CustomId
from shared.domain.polling import backoff

_ROUNDS = 20
_ALONG = 3
"""How often a document is refused along with another that was named before it fails too: a batch
of nothing but such requests would be sent as often as it has requests."""


def settle(deps: Deps, batch: Batch) -> None:
    """Give back (RELEASING) or fail (FAILING) every document the batch holds, then close it.

    The decision is saved in the batch's status already, so a crash in here is finished by the
    next who calls it, with the same result.
    """
    mark_stale(deps.store, batch.job)
    for part in slices(enumerate(deps.store.members(batch.id))):
        places = {
            member.path: (place if member.twin is None else member.twin, member.custom_id)
            for place, member in part
        }
        paths = set(places)
        for _ in range(_ROUNDS):
            held = _held(deps, batch, paths)
            if not held:
                break
            freed = [_freed(deps, batch, each, *places[each.path]) for each in held]
            waiting = [d for d in freed if d.status is DocumentStatus.WAITING]
            open_groups_of(deps.store, waiting, now=deps.clock(), ready=True)
            paths = deps.store.swap_documents(freed)
            _follow(deps, batch, held, freed, paths)
        else:
            put_off_settling(deps, batch)
            return
        bring_on(deps, batch.job, places)
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
    deps: Deps, batch: Batch, document: Document, place: int, custom_id: CustomId
) -> Document:
    """`place` is where its request is in the list: a twin's is its leader's."""
    now = deps.clock()
    tried = document.attempts + 1
    if batch.failure is None:
        return released(document, now=now)
    if batch.status is BatchStatus.FAILING or place == batch.blamed or tried >= _ALONG:
        failure = replace(batch.failure, custom_id=custom_id, attempts=tried)
        return failed(document, failure, now=now)
    return released(document, now=now, attempts=tried)


def _follow(
    deps: Deps, batch: Batch, held: list[Document], freed: list[Document], lost: set[str]
) -> None:
    """Tell what became of the versions that the batch held."""
    ended = {
        before.path
        for before, after in zip(held, freed, strict=True)
        if batch.status is BatchStatus.FAILING or after.status is DocumentStatus.FAILED
    }
    for step, is_end in (("documents_failed", True), ("documents_released", False)):
        of_step = (d for d in held if d.path not in lost and (d.path in ended) is is_end)
        deps.follow(step, of_step, batch=batch.id)
