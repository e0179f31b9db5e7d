"""docmill with one of its protections taken away, to see that the worlds notice.

Each is a context in which the use cases lack one rule; nothing else about them changes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from shared.adapters import records
from shared.adapters.sqlite_store import SqliteStore
from shared.app import (
    collect,
    continuing,
    long_stages,
    plan,
    reconcile,
    requests,
    results,
    room,
    settle,
    submit,
    twins,
)
from shared.app.claims import Claimed
from shared.app.deps import Deps
from shared.app.plan import Plan
from shared.domain import document as documents
from shared.domain import spend
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.bitmap import Bitmap
from shared.domain.document import Document, DocumentStatus, Sighting
from shared.domain.group import Group
from shared.domain.job import Job
from shared.domain.policy import Policy
from shared.domain.recipe import Recipe
from shared.domain.unfinished import Unfinished
from tests.world import world as worlds

if TYPE_CHECKING:
    from shared.domain.ids import BatchId


class Forgetful(SqliteStore):
    """Says that an intent is saved, and only saves it together with the answer to `create`."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self._intents: dict[BatchId, tuple[int, Batch]] = {}

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        if batch.status is BatchStatus.SUBMITTING:
            claimed = records.raised(batch)
            self._intents[batch.id] = (batch.rev, claimed)
            return claimed
        rev, intended = self._intents.pop(batch.id, (batch.rev, batch))
        mended = replace(batch, rev=rev) if batch.rev == intended.rev else batch
        return super().swap_batch(mended, durable=durable)


class Blind(SqliteStore):
    """Writes whatever it is given over whatever is there."""

    def __init__(self) -> None:
        super().__init__(":memory:")

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        for each in documents:
            held = self.documents(each.job, [each.path]).get(each.path)
            super().swap_documents([replace(each, rev=held.rev if held else 0)])
        return set()

    def swap_batch(self, batch: Batch, *, durable: bool = True) -> Batch:
        held = self.batch(batch.id)
        return super().swap_batch(replace(batch, rev=held.rev if held else 0), durable=durable)

    def swap_group(self, group: Group) -> Group:
        held = self.group(group.job, group.name)
        return super().swap_group(replace(group, rev=held.rev if held else 0))

    def close_group(self, group: Group) -> None:
        held = self.group(group.job, group.name)
        super().close_group(held or group)

    def swap_job(self, job: Job) -> Job:
        held = self.job(job.name)
        return super().swap_job(replace(job, rev=held.rev if held else 0))


def _planned_again(deps: Deps, batch: Batch, message: str = "") -> None:
    """What has no answer counts as not created."""
    now = deps.clock()
    deps.store.swap_batch(after(batch, BatchEvent.DEFERRED, next_at=now, note=message))


def intent_after_effect(patch: pytest.MonkeyPatch) -> None:
    """The intent isn't saved before `create` is called."""
    patch.setattr(worlds, "new_store", Forgetful)


def unanswered_counts_as_planned(patch: pytest.MonkeyPatch) -> None:
    """Reconcile takes a SUBMITTING batch, whose process died, for one that wasn't sent."""
    patch.setattr(reconcile, "_doubt", _planned_again)


def no_doubt(patch: pytest.MonkeyPatch) -> None:
    """A lost answer to `create` counts as a no."""
    patch.setattr(submit, "_doubt", _planned_again)


def no_grace(patch: pytest.MonkeyPatch) -> None:
    """A listing is believed at once."""

    def policy(**given: object) -> Policy:
        return Policy(**given, doubt_grace=timedelta(0))  # type: ignore[arg-type]  # as given

    patch.setattr(worlds, "Policy", policy)


def no_compare_and_set(patch: pytest.MonkeyPatch) -> None:
    """The store ignores revisions."""
    patch.setattr(worlds, "new_store", Blind)


def no_counts_check(patch: pytest.MonkeyPatch) -> None:
    """The end of a stream is the end of the results."""
    patch.setattr(results.Reading, "missing", lambda _: [])
    patch.setattr(results.Reading, "disagreement", lambda *_: "")


def no_dedupe_of_uploads(patch: pytest.MonkeyPatch) -> None:
    """What is seen again unchanged is taken for changed."""
    real = documents._seen_again

    def seen_again(document: Document, sighting: Sighting, *, now: datetime) -> Document | None:
        if document.status in (DocumentStatus.FAILED, DocumentStatus.REPORTED):
            return documents._taken_up(document, sighting, now=now)
        return real(document, sighting, now=now)

    patch.setattr(documents, "_seen_again", seen_again)


def no_dedupe_of_content(patch: pytest.MonkeyPatch) -> None:
    """Content that has its report is sent again when it comes under another version."""
    real = requests.Requests.make

    def make(self: requests.Requests, document: Document, *rest: object) -> object:
        return real(self, replace(document, reported_digest=None), *rest)  # type: ignore[arg-type]  # as given

    patch.setattr(requests.Requests, "make", make)


def no_dedupe_of_lines(patch: pytest.MonkeyPatch) -> None:
    """A line that comes twice counts twice."""
    real = results.Reading.take

    def take(self: results.Reading, data: bytes) -> None:
        before, self.seen = self.seen, Bitmap()
        real(self, data)
        for place in range(self.batch.size):
            if place in before:
                self.seen.add(place)

    patch.setattr(results.Reading, "take", take)


def no_lease(patch: pytest.MonkeyPatch) -> None:
    """A batch that somebody is submitting is anybody's."""

    def policy(**given: object) -> Policy:
        return Policy(**given, lease=timedelta(0))  # type: ignore[arg-type]  # as given

    patch.setattr(worlds, "Policy", policy)


def claims_are_not_checked(patch: pytest.MonkeyPatch) -> None:
    """A document is sent though another batch claimed it meanwhile."""

    async def claim(_deps: Deps, _batch: Batch, plan: Plan) -> Claimed:
        return Claimed(excluded=Bitmap(bytes(plan.excluded)), twins=Bitmap(bytes(plan.twins)))

    patch.setattr(submit, "claim", claim)


def no_limit(patch: pytest.MonkeyPatch) -> None:
    """What a job may cost is not looked at."""
    patch.setattr(room.Room, "left", lambda *_: None)
    patch.setattr(room.Room, "takes", lambda *_: True)
    patch.setattr(room.Room, "is_over", lambda *_: False)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """What others plan meanwhile isn't added up."""

    def takes(self: room.Room, batch: Batch, recipe: Recipe) -> bool:
        if recipe.max_cost is not None:
            self._account(batch.job).taken += batch.cost_at_most
        return not self.is_over(batch.job, recipe)

    patch.setattr(room.Room, "takes", takes)


def lost_lines_cost_nothing(patch: pytest.MonkeyPatch) -> None:
    """A result that never came counts as unpaid."""
    patch.setattr(spend, "_spent", lambda batch: batch.totals.cost if batch.totals else 0)


def no_twins(patch: pytest.MonkeyPatch) -> None:
    """The same request is sent for each document."""
    patch.setattr(twins.Leaders, "of", lambda *_: None)


def twins_by_length(patch: pytest.MonkeyPatch) -> None:
    """Requests that are as long count as the same."""
    patch.setattr(twins, "same_request", lambda _, request: b"%d" % len(request))


def continued_from_the_start(patch: pytest.MonkeyPatch) -> None:
    """What was cut off is asked for anew."""
    patch.setattr(requests, "continuation", lambda params, _text: params)


def the_rest_alone(patch: pytest.MonkeyPatch) -> None:
    """The rest of a report stands for the whole."""
    patch.setattr(continuing, "join", lambda _text, more: more)


def forgotten_beginnings(patch: pytest.MonkeyPatch) -> None:
    """A document that is to go on is let go without remembering that."""
    real = documents.continued

    def continued(document: Document, unfinished: Unfinished, *, now: datetime) -> Document:
        return replace(real(document, unfinished, now=now), unfinished=None)

    patch.setattr(results, "continued", continued)


def parts_bring_nothing_on(patch: pytest.MonkeyPatch) -> None:
    """Whoever settles the last part of a document doesn't look after it."""
    for module in (results, settle, collect):
        patch.setattr(module, "bring_on", lambda *_: None)


def parts_wait_for_nobody(patch: pytest.MonkeyPatch) -> None:
    """Parts are sent, and kept, whatever became of their document."""
    patch.setattr(plan, "wanted", lambda _deps, _job, waiting, **_: waiting)


def answers_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """Parts that are answered are asked about again, where the recipe is another by now."""
    patch.setattr(long_stages.Stages, "answered_rows", lambda *_: {})


MUTANTS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    intent_after_effect,
    unanswered_counts_as_planned,
    no_doubt,
    no_grace,
    no_compare_and_set,
    no_counts_check,
    no_dedupe_of_uploads,
    no_dedupe_of_content,
    no_dedupe_of_lines,
    no_lease,
    claims_are_not_checked,
    no_limit,
    no_fence,
    lost_lines_cost_nothing,
    no_twins,
    twins_by_length,
    continued_from_the_start,
    the_rest_alone,
    forgotten_beginnings,
    parts_bring_nothing_on,
    parts_wait_for_nobody,
    answers_are_not_kept,
)


@contextmanager
def without(mutant: Callable[[pytest.MonkeyPatch], None]) -> Iterator[None]:
    """Take a protection away while it lasts."""
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        yield
