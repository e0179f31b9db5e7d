"""What documents came to, read from the results of their batches once more: that costs nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace as changed
from decimal import Decimal

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.slices import slices
from shared.domain.batch import TERMINAL, Batch, BatchStatus, Member
from shared.domain.catalog import Usage, added
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import CustomId, JobName
from shared.domain.outcome import MalformedLine, Outcome, Report, Retry, decode, judge
from shared.domain.parts import is_part, whole_of
from shared.domain.projection import Observed
from shared.domain.recipe import Recipe
from shared.ports.batch_api import ApiError

_MOST_REQUESTS = 10_000
"""Of a batch that is read for a few of its documents; one that was made for them has no more."""

_MOST_BATCHES = 1_000
_ENDS = (DocumentStatus.REPORTED, DocumentStatus.FAILED)


async def observe(
    deps: Deps, job: JobName, recipe: Recipe, paths: Collection[str]
) -> Mapping[str, Observed]:
    """Those of the documents that came to an end by this recipe, or before they were sent, with
    all their tries.

    What was made by another recipe, and whose results are gone, isn't among them.
    """
    ended = {each.path: each for each in _documents(deps, job, paths) if each.status in _ENDS}
    found = {
        path: Observed(size=document.content.size)
        for path, document in ended.items()
        if document.failure is not None and document.failure.custom_id is None
    }
    batches = [each for each in deps.store.batches(job) if _readable(each, recipe)]
    for batch in batches[-_MOST_BATCHES:]:
        members = deps.store.members(batch.id)
        outcomes = await _outcomes(deps, batch, _asked_for(members, ended))
        for (_, path), outcome in outcomes.items():
            before = found.get(path, Observed(size=ended[path].content.size))
            found[path] = _with(before, deps, batch, outcome)
        for each in members:
            if each.answered_by is not None and each.path in ended:
                found.setdefault(each.path, Observed(size=ended[each.path].content.size))
    return {path: _ended(each, ended[path]) for path, each in found.items()}


def _documents(deps: Deps, job: JobName, paths: Collection[str]) -> Iterator[Document]:
    for part in slices(sorted(paths)):
        yield from deps.store.documents(job, part).values()


def _asked_for(
    members: Sequence[Member], ended: Collection[str]
) -> Mapping[CustomId, Sequence[tuple[str, bool]]]:
    """The documents that each request was sent for, and whether that was for another first."""
    found: dict[CustomId, list[tuple[str, bool]]] = {}
    for each in members:
        if (path := _whole(each)) in ended:
            sent = each if each.twin is None else members[each.twin]
            found.setdefault(sent.custom_id, []).append((path, each.twin is not None))
    return found


def _readable(batch: Batch, recipe: Recipe) -> bool:
    only_copied = batch.provider_id is None and batch.status in TERMINAL
    return (
        (batch.status is BatchStatus.COLLECTED or only_copied)
        and batch.fingerprint == recipe.fingerprint
        and batch.size <= _MOST_REQUESTS
    )


def _whole(member: Member) -> str:
    """The document that a request is for: also one about a part of it."""
    return whole_of(member.path) if is_part(member.path) else member.path


async def _outcomes(
    deps: Deps, batch: Batch, mine: Mapping[CustomId, Sequence[tuple[str, bool]]]
) -> dict[tuple[CustomId, str], Outcome]:
    """What became of those in the batch that are `mine`, for each document: who has another's
    answer used nothing, and one in parts has several."""
    found: dict[tuple[CustomId, str], Outcome] = {}
    if batch.provider_id is None or not mine:
        return found
    try:
        async for lines in deps.api.results(batch.provider_id):
            for data in lines:
                try:
                    line = decode(data)
                except MalformedLine:
                    continue
                name = CustomId(line.custom_id)
                for path, is_twin in mine.get(name, ()):
                    outcome = judge(line, attempts=0, max_attempts=1)
                    if is_twin:
                        outcome = replace(outcome, usage=Usage(), uncounted=False)
                    found.setdefault((name, path), outcome)
    except ApiError:
        return found  # after a month they are gone; then less is known
    return found


def _with(before: Observed, deps: Deps, batch: Batch, outcome: Outcome) -> Observed:
    """One try more."""
    if isinstance(outcome, Retry):
        return before
    usage = outcome.usage or Usage()

    def cost(of: Usage) -> Decimal | None:
        return None if outcome.uncounted else batch.cost(deps.catalog, of)

    into, whole = cost(replace(usage, output_tokens=0)), cost(usage)
    out = None if whole is None or into is None else whole - into
    return changed(
        before,
        input_tokens=before.input_tokens + usage.prompt_tokens,
        output_tokens=before.output_tokens + usage.output_tokens,
        input_cost=added(before.input_cost, into),
        output_cost=added(before.output_cost, out),
        truncated=before.truncated or (isinstance(outcome, Report) and outcome.truncated),
    )


def _ended(seen: Observed, document: Document) -> Observed:
    """How it ended is what the state says: more than the API's word decides that."""
    failed = document.status is DocumentStatus.FAILED
    return changed(seen, failure=document.failure.type if failed and document.failure else None)
