"""Claiming a batch's documents: from here on they are in no other."""

from shared.app.deps import Deps
from shared.app.plan import NO_REV, Plan
from shared.app.slices import in_turns, slices
from shared.domain.batch import Batch
from shared.domain.bitmap import Bitmap
from shared.domain.document import Document, DocumentStatus, claimed


def _claimed(document: Document, batch: Batch, plan: Plan, place: int) -> Document:
    losses = plan.losses.get(place, ())
    return claimed(document, batch.id, digest=plan.digests[place], losses=losses)


async def claim(deps: Deps, batch: Batch, plan: Plan) -> Bitmap:
    """Claim each document as it was read; the places that couldn't be are the answer.

    Claiming what this batch holds already changes nothing, so a plan can be resumed.
    """
    excluded = Bitmap(bytes(plan.excluded))
    async for part in in_turns(slices(range(len(plan.members))), every=1):
        places = {plan.members[place].path: place for place in part if place not in excluded}
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
                excluded.add(place)
                continue
            swaps.append(_claimed(document, batch, plan, place))
        lost = deps.store.swap_documents(swaps)
        for path in lost:
            excluded.add(places[path])
        ours = (document for document in swaps if document.path not in lost)
        deps.follow("documents_claimed", ours, batch=batch.id)
    return excluded
