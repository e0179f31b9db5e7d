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
from shared.app.earlier import Known, Pending
from shared.app.groups import mark_stale, open_groups_of
from shared.app.parts import end_parts, wanted
from shared.app.requests import Made, Requests
from shared.app.sameness import Sameness, SavedPlan
from shared.app.slices import SLICE, in_turns, slices
from shared.app.spool import Spool
from shared.domain.batch import Batch, BatchStatus, Member
from shared.domain.bitmap import Bitmap
from shared.domain.caching import FEW
from shared.domain.document import Document, DocumentStatus, released
from shared.domain.estimate import bound
from shared.domain.group import Group, Load
from shared.domain.ids import JobName, custom_id
from shared.domain.kinds import is_converted
from shared.domain.purse import Purse
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
    was lost of it, where something was.

    `excluded` are the places that aren't sent: those left out, and `twins`, whose documents are
    claimed all the same.
    """

    spool: Spool
    members: list[Member] = field(default_factory=list)
    revs: "array[int]" = field(default_factory=lambda: array("Q"))
    digests: list[str] = field(default_factory=list)
    losses: dict[int, tuple[str, ...]] = field(default_factory=dict)
    excluded: Bitmap = field(default_factory=Bitmap)
    twins: Bitmap = field(default_factory=Bitmap)

    def add(self, member: Member, rev: int, made: Made) -> None:
        """Take the next place."""
        if made.losses:
            self.losses[len(self.members)] = made.losses
        self._take(member, rev, made.digest, made.request)

    def add_twin(self, member: Member, rev: int, made: Made) -> None:
        """Take the next place for a document whose request is sent at another."""
        self.twins.add(len(self.members))
        self.excluded.add(len(self.members))
        self.add(member, rev, made._replace(request=b""))

    def led(self) -> Iterator[tuple[int, int | None]]:
        """The places in `twins`, each with that of its leader, if that is in the batch."""
        for place, member in enumerate(self.members):
            if place in self.twins:
                yield place, member.twin

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
    """Nothing could be planned: whatever waits may cost more than the job may still, or waits for
    the answer to a request of another batch that is the same (AWAITED)."""

    FULL = "full"
    AWAITED = "awaited"


FULL = Full.FULL
AWAITED = Full.AWAITED


async def plan_batch(
    deps: Deps,
    group: Group,
    recipe: Recipe,
    spool: Spool,
    *,
    left: Decimal | None = None,
    known: Known | None = None,
) -> tuple[Batch, Plan] | Full | None:
    """Plan the group's next batch up to the limits of one; None when nothing is left to send.

    It costs no more than `left`, in US dollars: what would is passed over. `known` is what was
    read of earlier batches' requests.
    """
    batch_id = deps.new_batch_id()
    cached = _is_cached(deps, group, recipe)
    requests = Requests(deps, recipe, cached=cached)
    plan = Plan(spool=spool)
    same = Sameness(deps, group.job, recipe, known)
    most, most_bytes = deps.policy.most_requests(recipe.max_tokens), _most_bytes(deps, group.job)
    at_most = bound(recipe, deps.catalog)
    purse = Purse(left)
    full: Full | None = None
    early = _Early(deps)
    found = deps.store.waiting(group.job, group.name)
    waiting = still(deps, group.job, found, DocumentStatus.WAITING)
    waiting = wanted(deps, group.job, waiting, tidy=True)
    read = _in_time(deps, read_contents(deps, waiting, recipe))
    async for document, content in in_turns(read, slow=_is_slow):
        name = custom_id(document.path, len(plan.members), batch_id)
        if left is not None and not purse.splits(requests.costs(document, content, at_most)):
            full = FULL
            continue
        made = requests.make(document, content, name)
        if isinstance(made, Document):
            early.add(made)
            continue
        elsewhere = same.of(document, made.digest, name, requests.plain)
        if isinstance(elsewhere, Pending):
            full = full or AWAITED
            continue
        if elsewhere is not None:
            plan.add_twin(elsewhere, document.rev, made)
        elif plan.members and spool.size + len(made.request) + 1 > most_bytes:
            break
        elif purse.has(may_cost := at_most(made.most_tokens)):
            purse.take(may_cost)
            same.sent_at(len(plan.members))
            plan.add(Member(path=document.path, custom_id=name), document.rev, made)
        else:
            full = FULL
            if not purse.has(at_most(0)):
                break
            continue  # one that costs less may still fit
        if len(plan.members) >= most:
            break
    early.settle()
    if not plan.members:
        if requests.long.has_split:  # their parts wait by now
            return await plan_batch(deps, group, recipe, spool, left=left, known=known)
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
        cached=cached,
        excluded=bytes(plan.excluded) if len(plan.excluded) else b"",
        cost_at_most=purse.cost,
        one_at_most=purse.dearest,
        form=recipe.form.packed(),
        planned_at=now,
        next_at=now + deps.policy.lease,
    )
    same.save(batch)
    return deps.store.plan(batch, plan.members), plan


@dataclass(slots=True)
class _Early:
    """Documents that go on without having been sent, written a slice at a time."""

    deps: Deps
    documents: list[Document] = field(default_factory=list)

    def add(self, document: Document) -> None:
        self.documents.append(document)
        if len(self.documents) >= SLICE:
            self.settle()

    def settle(self) -> None:
        settled, self.documents = self.documents, []
        _settle_early(self.deps, settled)


def _is_cached(deps: Deps, group: Group, recipe: Recipe) -> bool:
    """Whether enough requests will share what can be cached."""
    if recipe.shared is None:
        return False
    enough = Load(documents=FEW, bytes=deps.policy.max_batch_bytes)
    return deps.store.load(group.job, group.name, enough=enough).documents >= FEW


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
    requests = Requests(deps, recipe, cached=batch.cached)
    members = deps.store.members(batch.id)
    saved = SavedPlan(deps, batch, recipe, members)
    async for part in in_turns(slices(members), every=1):
        known = deps.store.documents(batch.job, [member.path for member in part])
        usable = {
            path: document
            for path, document in known.items()
            if document.status is DocumentStatus.WAITING or document.batch == batch.id
        }
        await _spool_part(plan, requests, part, usable, saved)
    return plan


async def _spool_part(
    plan: Plan,
    requests: Requests,
    part: Sequence[Member],
    usable: dict[str, Document],
    saved: SavedPlan,
) -> None:
    """Spool some places. A twin whose request is no more the same is given back, and so are those
    whose leader isn't sent, and those whose answer isn't there any more."""
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
        if not saved.still_holds(
            len(plan.members), member, document, digest=made.digest, request=requests.plain
        ):
            plan.leave_out(member)
            if document.status is DocumentStatus.IN_BATCH:
                settled.append(released(document, now=deps.clock()))
            continue
        if member.twin is not None or member.answered_by is not None:
            plan.add_twin(member, document.rev, made)
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
