"""Planning a batch: documents are read, rendered and spooled, and the list is saved.

Nothing is claimed or sent here. A plan that was saved can be spooled once more by any process,
from its list.
"""

import asyncio
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from shared.app.candidates import still
from shared.app.contents import Read, read_contents
from shared.app.deps import Deps
from shared.app.groups import mark_stale, open_groups_of
from shared.app.parts import end_parts, wanted
from shared.app.requests import Made, Requests
from shared.app.slices import SLICE, in_turns, slices
from shared.app.spool import Spool
from shared.domain.batch import Batch, BatchStatus, Member
from shared.domain.bitmap import Bitmap
from shared.domain.document import Document, DocumentStatus, released
from shared.domain.estimate import bound
from shared.domain.group import Group
from shared.domain.ids import JobName, custom_id
from shared.domain.kinds import is_converted
from shared.domain.recipe import Recipe

NO_REV = 0
"""In `Plan.revs`: the place isn't to be claimed."""

_UNSENT = {
    DocumentStatus.REPORTED: "documents_unchanged",
    DocumentStatus.WAITING: "documents_released",
    DocumentStatus.IN_PARTS: "documents_split",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is spooled for each place: the revision of the document read, and its digest; and what
    was lost of it, where something was."""

    spool: Spool
    members: list[Member] = field(default_factory=list)
    revs: "array[int]" = field(default_factory=lambda: array("Q"))
    digests: list[str] = field(default_factory=list)
    losses: dict[int, tuple[str, ...]] = field(default_factory=dict)
    excluded: Bitmap = field(default_factory=Bitmap)

    def add(self, member: Member, rev: int, made: Made) -> None:
        """Take the next place."""
        if made.losses:
            self.losses[len(self.members)] = made.losses
        self._take(member, rev, made.digest, made.request)

    def leave_out(self, member: Member) -> None:
        """Take the next place for a document that isn't sent after all."""
        self.excluded.add(len(self.members))
        self._take(member, NO_REV, "", b"")

    def _take(self, member: Member, rev: int, digest: str, request: bytes) -> None:
        self.spool.add(request)
        self.members.append(member)
        self.revs.append(rev)
        self.digests.append(digest)


class Full(Enum):
    """Nothing could be planned: whatever waits may cost more than the job may still."""

    FULL = "full"


FULL = Full.FULL


async def plan_batch(
    deps: Deps, group: Group, recipe: Recipe, spool: Spool, *, left: Decimal | None = None
) -> tuple[Batch, Plan] | Full | None:
    """Plan the group's next batch up to the limits of one; None when nothing is left to send.

    It costs no more than `left`, in US dollars: what would is passed over.
    """
    batch_id = deps.new_batch_id()
    requests = Requests(deps, recipe)
    plan = Plan(spool=spool)
    most = deps.policy.most_requests(recipe.max_tokens)
    most_bytes = _most_bytes(deps, group.job)
    at_most = bound(recipe, deps.catalog)
    cost = dearest = Decimal(0)
    full: Full | None = None
    settled: list[Document] = []
    found = deps.store.waiting(group.job, group.name)
    waiting = still(deps, group.job, found, DocumentStatus.WAITING)
    waiting = wanted(deps, group.job, waiting, tidy=True)
    split_at_most = Decimal(0)
    read = _in_time(deps, read_contents(deps, waiting, recipe))
    async for document, content in in_turns(read, slow=_is_slow):
        name = custom_id(document.path, len(plan.members), batch_id)
        if left is not None:
            parts = requests.costs(document, content, at_most)
            if parts and cost + split_at_most + parts > left:
                full = FULL
                continue
            split_at_most += parts
        made = requests.make(document, content, name)
        if isinstance(made, Document):
            settled.append(made)
            if len(settled) >= SLICE:
                _settle_early(deps, settled)
                settled = []
            continue
        if plan.members and spool.size + len(made.request) + 1 > most_bytes:
            break
        may_cost = at_most(made.most_tokens) or Decimal(0)
        if left is not None and cost + may_cost > left:
            full = FULL
            if cost + (at_most(0) or Decimal(0)) > left:
                break
            continue  # one that costs less may still fit
        cost += may_cost
        dearest = max(dearest, may_cost)
        plan.add(Member(path=document.path, custom_id=name), document.rev, made)
        if len(plan.members) >= most:
            break
    _settle_early(deps, settled)
    if not plan.members:
        if requests.long.has_split:  # their parts wait by now
            return await plan_batch(deps, group, recipe, spool, left=left)
        return full
    now = deps.clock()
    batch = Batch(
        id=batch_id,
        job=group.job,
        group=group.name,
        recipe=recipe.name,
        fingerprint=recipe.fingerprint,
        model=recipe.model,
        betas=recipe.betas,
        inference_geo=recipe.inference_geo,
        status=BatchStatus.PLANNED,
        size=len(plan.members),
        cost_at_most=cost,
        one_at_most=dearest,
        form=recipe.form.packed(),
        planned_at=now,
        next_at=now + deps.policy.lease,
    )
    return deps.store.plan(batch, plan.members), plan


def _is_slow(read: tuple[Document, Read]) -> bool:
    """Whether reading it may have taken seconds, as it was converted."""
    return _is_converted(read[0])


def _is_converted(document: Document) -> bool:
    part = document.part
    return is_converted(part.of if part else document.path)


def _in_time(deps: Deps, read: Iterator[tuple[Document, Read]]) -> Iterator[tuple[Document, Read]]:
    """The same, until converting has taken as long as one plan may: the rest is for the next."""
    began = deps.clock()
    for each in read:
        yield each
        if _is_slow(each) and deps.clock() - began >= deps.policy.planning:
            return


def _most_bytes(deps: Deps, job: JobName) -> int:
    """How large the body may be: less than what was refused as too large before."""
    known = deps.store.job(job)
    least = known.most_bytes if known else None
    return min(least or deps.policy.max_batch_bytes, deps.policy.max_batch_bytes)


async def spool_again(deps: Deps, batch: Batch, recipe: Recipe, spool: Spool) -> Plan:
    """Spool a saved plan once more; what changed or went since is left out and given back."""
    plan = Plan(spool=spool)
    requests = Requests(deps, recipe)
    members = deps.store.members(batch.id)
    async for part in in_turns(slices(members), every=1):
        known = deps.store.documents(batch.job, [member.path for member in part])
        usable = {
            path: document
            for path, document in known.items()
            if document.status is DocumentStatus.WAITING or document.batch == batch.id
        }
        await _spool_part(plan, requests, part, usable)
    return plan


async def _spool_part(
    plan: Plan, requests: Requests, part: Sequence[Member], usable: dict[str, Document]
) -> None:
    ordered = (usable[member.path] for member in part if member.path in usable)
    deps = requests.deps
    read = read_contents(deps, ordered, requests.recipe)
    settled: list[Document] = []
    for member in part:
        if member.path not in usable:
            plan.leave_out(member)
            continue
        document, content = next(read)
        if _is_converted(document):
            await asyncio.sleep(0)  # others get their turn
        made = requests.make(document, content, member.custom_id)
        if isinstance(made, Document):
            plan.leave_out(member)
            settled.append(made)
            continue
        if document.status is DocumentStatus.IN_BATCH and made.digest != document.claimed_digest:
            plan.leave_out(member)
            settled.append(released(document, now=deps.clock()))
            continue
        plan.add(member, document.rev, made)
    _settle_early(deps, settled)


def _settle_early(deps: Deps, documents: list[Document]) -> None:
    """Write documents that end, or wait again, without having been sent.

    One that somebody else wrote meanwhile is left as it is: waiting, it comes again; held by a
    batch, it is given back when that batch is closed.
    """
    if not documents:
        return
    mark_stale(deps.store, documents[0].job)
    documents = end_parts(deps, documents)
    if not documents:
        return
    waiting = [document for document in documents if document.status is DocumentStatus.WAITING]
    open_groups_of(deps.store, waiting, now=deps.clock(), ready=True)
    lost = deps.store.swap_documents(documents)
    mark_stale(deps.store, documents[0].job)
    written = [document for document in documents if document.path not in lost]
    for document in written:
        if document.status is DocumentStatus.FAILED and document.failure is not None:
            deps.emit(
                "document_failed",
                document=document.path,
                correlation_id=document.correlation_id,
                type=document.failure.type,
                message=document.failure.message,
            )
    for status, step in _UNSENT.items():
        deps.follow(step, (document for document in written if document.status is status))
