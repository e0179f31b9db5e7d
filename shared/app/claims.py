"""Claiming a batch's documents: from here on they are in no other."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from shared.app.deps import Deps
from shared.app.plan import NO_REV, Plan
from shared.app.slices import in_turns, slices
from shared.domain.batch import Batch
from shared.domain.bitmap import Bitmap
from shared.domain.document import Document, DocumentStatus, claimed


def _claimed(document: Document, batch: Batch, plan: Plan, place: int) -> Document:
    losses = plan.losses.get(place, ())
    return claimed(document, batch.id, digest=plan.digests[place], losses=losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The places that aren't sent, and those among them whose documents are held as twins."""

    excluded: Bitmap
    twins: Bitmap


async def claim(deps: Deps, batch: Batch, plan: Plan) -> Claimed:
    """Claim each document as it was read, and say which couldn't be.

    Claiming what this batch holds already changes nothing, so a plan can be resumed. Twins come
    last, and only those whose leader is claimed: nobody is to wait for what isn't sent.
    """
    excluded, held = Bitmap(bytes(plan.excluded)), Bitmap()
    sent = (place for place in range(len(plan.members)) if place not in plan.excluded)
    async for place in _lost(deps, batch, plan, sent):
        excluded.add(place)
    twins = [place for place, leader in plan.led() if leader is None or leader not in excluded]
    lost = {place async for place in _lost(deps, batch, plan, iter(twins))}
    for place in twins:
        if place not in lost and plan.members[place].twin is not None:
            held.add(place)
    return Claimed(excluded=excluded, twins=held)


async def _lost(deps: Deps, batch: Batch, plan: Plan, chosen: Iterator[int]) -> AsyncIterator[int]:
    """Claim the documents at these places; the places for which that can't be done."""
    async for part in in_turns(slices(chosen), every=1):
        places = {plan.members[place].path: place for place in part}
        known = deps.store.documents(batch.job, places.keys())
        swaps = []
        for path, place in places.items():
            document = known.get(path)
            if document is not None and document.batch == batch.id:
                continue
            if (
                document is None
                or document.status is not DocumentStatus.WAITING
                or document.rev != plan.revs[place]
                or plan.revs[place] == NO_REV
            ):
                yield place
                continue
            swaps.append(_claimed(document, batch, plan, place))
        lost = deps.store.swap_documents(swaps)
        for path in lost:
            yield places[path]
        ours = (document for document in swaps if document.path not in lost)
        deps.follow("documents_claimed", ours, batch=batch.id)
