"""What a person asks of a job that exists: try failures again, or cancel."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from shared.app.deps import Deps, NoRecipe
from shared.app.groups import mark_stale, open_groups_of
from shared.app.parts import end_parts
from shared.app.pauses import ending_pause, pause_if_refused
from shared.app.slices import slices
from shared.app.submit import abandon
from shared.domain.batch import LIVE, Batch, BatchEvent, BatchStatus, after
from shared.domain.document import (
    REPORT_BLOCKED,
    Document,
    DocumentStatus,
    Failure,
    failed,
    requeued,
)
from shared.domain.ids import BatchId, CustomId, JobName, place_of
from shared.domain.policy import EVER
from shared.domain.spend import HELD
from shared.ports.batch_api import ApiError
from shared.ports.store import StaleWrite

_MANY = 1_000_000
_REFUSED_AT_SIGHT = frozenset(
    {"invalid_name", "invalid_manifest", "no_job", "duplicate_path", "unreadable_folder"}
)
"""Failures that only a new look at the input can mend."""

_BEFORE_SENDING = frozenset(
    {
        *("template_error", "document_too_large", "request_too_large", "too_many_pages"),
        *("too_many_images", "images_too_large", REPORT_BLOCKED, HELD),
    }
)
"""Failures of a document and its recipe that cost nothing to look into again."""

_REFUSED_UNPAID = frozenset(
    {"invalid_request_error", "not_found_error", "permission_error", "request_too_large"}
)
"""The API's words for a request that it doesn't answer, nor bills, as long as it stays the same:
parameters, a model that isn't there or isn't ours, a prompt that is too long."""


Wanted = Callable[[Document, Failure], bool]
"""Tells whether a failed document is to wait again."""


def requeue(deps: Deps, job: JobName, *, final: bool = False, kept: Collection[str] = ()) -> int:
    """Let failed documents wait again: those worth retrying, with `final` all; says how many.

    Those in `kept` are left alone, as their reports are there and only have no place.
    """
    return let_wait(deps, job, worth_retrying(final=final, kept=kept))


def requeue_unpaid(deps: Deps, job: JobName) -> int:
    """Let wait again what failed by its recipe and was not paid for: the recipe may be another."""
    return let_wait(deps, job, unpaid(deps, job))


def worth_retrying(*, final: bool = False, kept: Collection[str] = ()) -> Wanted:
    """What `requeue` chooses."""
    return lambda document, failure: (
        not document.stands_for_a_row
        and document.path not in kept
        and failure.type not in _REFUSED_AT_SIGHT
        and (final or failure.retryable)
    )


def unpaid(deps: Deps, job: JobName) -> Wanted:
    """What `requeue_unpaid` chooses.

    What failed before it was sent costs nothing to look into again. What the API refused is sent
    again by another recipe only.
    """
    sent_otherwise = _sent_otherwise(deps, job)
    return lambda _, failure: (
        failure.type in _BEFORE_SENDING
        if failure.custom_id is None
        else failure.type in _REFUSED_UNPAID and sent_otherwise(failure.custom_id)
    )


def _sent_otherwise(deps: Deps, job: JobName) -> Callable[[CustomId], bool]:
    """Tells whether the recipe is another by now than the one that a request was made by."""
    try:
        fingerprint = deps.recipe(job).fingerprint
    except NoRecipe:
        return lambda _: False
    known: dict[BatchId, bool] = {}

    def otherwise(request: CustomId) -> bool:
        place = place_of(request)
        if place is None:
            return False
        if place[1] not in known:
            batch = deps.store.batch(place[1])
            known[place[1]] = batch is not None and batch.fingerprint != fingerprint
        return known[place[1]]

    return otherwise


def would_wait(deps: Deps, job: JobName, *wanted: Wanted) -> Iterator[Document]:
    """What `let_wait` would change, as it would be then: a price is asked about before."""
    return (requeued(each, now=deps.clock()) for each in _chosen(deps, job, wanted))


def let_wait(deps: Deps, job: JobName, *wanted: Wanted) -> int:
    """Let failed documents wait again that any of these chooses; says how many."""
    count = 0
    for part in slices(_chosen(deps, job, wanted)):
        documents = [requeued(document, now=deps.clock()) for document in part]
        open_groups_of(deps.store, documents, now=deps.clock(), ready=True)
        mark_stale(deps.store, job)
        lost = deps.store.swap_documents(documents)
        count += len(documents) - len(lost)
        mark_stale(deps.store, job)
        deps.follow("documents_requeued", (each for each in documents if each.path not in lost))
    return count


def _chosen(deps: Deps, job: JobName, wanted: Sequence[Wanted]) -> Iterator[Document]:
    for document in deps.store.failed(job):
        failure = document.failure
        if failure is not None and any(wants(document, failure) for wants in wanted):
            yield document


async def cancel(deps: Deps, job: JobName) -> int:
    """Ask the provider to cancel the job's batches, and fail what isn't submitted yet.

    The answer is how many batches were asked for; what they finished all the same is collected
    as usual. Batches in doubt are left to reconcile. Only for a home with a single process: plans
    are given up whoever may hold them.
    """
    far = deps.clock() + EVER
    _give_up_plans(deps, job, due_by=far)
    fail_waiting(deps, job)
    asked = 0
    for batch in _live(deps, job, BatchStatus.IN_PROGRESS):
        wanted = _want_canceled(deps, batch)
        if wanted is None or wanted.provider_id is None:
            continue
        if ending_pause(deps):
            continue  # the others would be refused too: poll asks for them once it can
        try:
            await deps.api.cancel(wanted.provider_id)
        except ApiError as error:
            deps.emit("cancel_failed", batch=batch.id, message=error.message)
            pause_if_refused(deps, error)
            continue
        asked += 1
        deps.emit("batch_canceling", batch=batch.id, provider_id=wanted.provider_id)
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceling:
    """What one round of `cancel_beside` found: documents that waited, batches that are asked to
    stop from now on, and batches that are still open, these among them."""

    waited: int
    asked: int
    open: int


def cancel_beside(deps: Deps, job: JobName) -> Canceling:
    """One round of canceling a job that other processes submit, look at and collect meanwhile.

    Nothing is taken from whoever holds it: a plan is given up only once its lease is over, as
    its holder may be claiming documents for it; a batch that is being sent, or in doubt, comes out
    of that by itself. So rounds are repeated until nothing is open. Poll asks the provider, and
    looks at the batch at once for that.
    """
    _give_up_plans(deps, job, due_by=deps.clock())
    waited = fail_waiting(deps, job)
    asked = left = 0
    for status in LIVE:
        for batch in _live(deps, job, status):
            left += 1
            if status is BatchStatus.IN_PROGRESS and not batch.cancel_wanted:
                asked += _want_canceled(deps, batch, next_at=deps.clock()) is not None
    return Canceling(waited=waited, asked=asked, open=left)


def _live(deps: Deps, job: JobName, status: BatchStatus) -> Iterator[Batch]:
    found = deps.store.due(status, now=deps.clock() + EVER, limit=_MANY)
    return (batch for batch in found if batch.job == job)


def _give_up_plans(deps: Deps, job: JobName, *, due_by: datetime) -> None:
    """Their documents fail at once, read from their rows: no index has to show them before."""
    for batch in deps.store.due(BatchStatus.PLANNED, now=due_by, limit=_MANY):
        if batch.job != job:
            continue
        with suppress(StaleWrite):  # somebody sends it after all, or settles it
            abandon(deps, batch, "canceled before it was sent")
        for part in slices(deps.store.members(batch.id)):
            known = deps.store.documents(job, [member.path for member in part])
            _fail_canceled(deps, job, known.values())


def _want_canceled(deps: Deps, batch: Batch, **changes: object) -> Batch | None:
    """Have poll ask for its cancellation until that is taken; None if it isn't in progress by now.

    Poll writes what it saw at any time: then this is decided anew, or the wish would be lost.
    """
    current: Batch | None = batch
    while current is not None and current.status is BatchStatus.IN_PROGRESS:
        if current.cancel_wanted:
            return current
        try:
            return deps.store.swap_batch(
                after(current, BatchEvent.CHECKED, cancel_wanted=True, **changes)
            )
        except StaleWrite:
            current = deps.store.batch(batch.id)
    return None


def fail_waiting(deps: Deps, job: JobName) -> int:
    """End what waits as canceled, so nothing more is submitted until `retry`; says how many."""
    count = 0
    for group in list(deps.store.groups(job)):
        for part in slices(deps.store.waiting(job, group.name)):
            count += _fail_canceled(deps, job, part)
    return count


def _fail_canceled(deps: Deps, job: JobName, documents: Iterable[Document]) -> int:
    """Those of the documents that wait; one that somebody wrote meanwhile is looked at again."""
    failure = Failure(type="canceled", message="canceled before it was submitted", retryable=True)
    waiting = [each for each in documents if each.status is DocumentStatus.WAITING]
    count = 0
    while waiting:
        mark_stale(deps.store, job)
        canceled = [failed(document, failure, now=deps.clock()) for document in waiting]
        lost = deps.store.swap_documents(end_parts(deps, canceled))
        mark_stale(deps.store, job)
        count += len(waiting) - len(lost)
        known = deps.store.documents(job, lost)
        waiting = [each for each in known.values() if each.status is DocumentStatus.WAITING]
    return count


def forget_unsent(deps: Deps, job: JobName, *, since: datetime) -> None:
    """Forget what came since then and was never submitted: the person said no to paying for it."""
    for group in list(deps.store.groups(job)):
        for part in slices(deps.store.waiting(job, group.name)):
            unsent = [
                d
                for d in part
                if d.reported_digest is None and not d.unfinished and d.since >= since
            ]
            deps.store.delete_documents(unsent)
            mark_stale(deps.store, job)
