"""What a person asks of a job that exists: try failures again, or cancel."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from shared.app.deps import Deps
from shared.app.groups import mark_stale, open_groups_of
from shared.app.submit import abandon
from shared.domain.batch import BatchEvent, BatchStatus, after
from shared.domain.document import Document, Failure, failed, requeued
from shared.domain.ids import JobName
from shared.domain.policy import EVER
from shared.ports.batch_api import ApiError
from shared.ports.store import StaleWrite

_SLICE = 500
_MANY = 1_000_000
_REFUSED_AT_SIGHT = frozenset({"invalid_name", "invalid_manifest", "no_job"})
"""Failures that only a new look at the input can mend."""


def requeue(deps: Deps, job: JobName, *, final: bool = False) -> int:
    """Let failed documents wait again: those worth retrying, with `final` all; says how many."""
    chosen = (
        document
        for document in deps.store.failed(job)
        if not document.stands_for_a_row
        and document.failure is not None
        and document.failure.type not in _REFUSED_AT_SIGHT
        and (final or document.failure.retryable)
    )
    count = 0
    for part in _slices(chosen):
        documents = [requeued(document, now=deps.clock()) for document in part]
        open_groups_of(deps.store, documents, now=deps.clock(), ready=True)
        mark_stale(deps.store, job)
        count += len(documents) - len(deps.store.swap_documents(documents))
        mark_stale(deps.store, job)
    return count


async def cancel(deps: Deps, job: JobName) -> int:
    """Ask the provider to cancel the job's batches, and fail what isn't submitted yet.

    The answer is how many batches were asked for; what they finished all the same is collected
    as usual. Batches in doubt are left to reconcile.
    """
    far = deps.clock() + EVER
    for batch in deps.store.due(BatchStatus.PLANNED, now=far, limit=_MANY):
        if batch.job == job:
            abandon(deps, batch, "canceled before it was sent")
    fail_waiting(deps, job)
    asked = 0
    for batch in deps.store.due(BatchStatus.IN_PROGRESS, now=far, limit=_MANY):
        if batch.job != job or batch.provider_id is None:
            continue
        with suppress(StaleWrite):  # poll looked meanwhile: it is as good as asked for below
            deps.store.swap_batch(after(batch, BatchEvent.CHECKED, cancel_wanted=True))
        try:
            await deps.api.cancel(batch.provider_id)
        except ApiError as error:
            deps.emit("cancel_failed", batch=batch.id, message=error.message)
            continue
        asked += 1
        deps.emit("batch_canceling", batch=batch.id, provider_id=batch.provider_id)
    return asked


def fail_waiting(deps: Deps, job: JobName) -> None:
    """End what waits as canceled, so that nothing more is submitted until `retry`."""
    failure = Failure(type="canceled", message="canceled before it was submitted", retryable=True)
    for group in list(deps.store.groups(job)):
        for part in _slices(deps.store.waiting(job, group.name)):
            mark_stale(deps.store, job)
            deps.store.swap_documents(
                [failed(document, failure, now=deps.clock()) for document in part]
            )


def forget_unsent(deps: Deps, job: JobName) -> None:
    """Forget what waits and was never submitted: the person said no to paying for it."""
    for group in list(deps.store.groups(job)):
        for part in _slices(deps.store.waiting(job, group.name)):
            unsent = [d for d in part if d.reported_digest is None and d.attempts == 0]
            deps.store.delete_documents(unsent)
            mark_stale(deps.store, job)


def _slices(documents: Iterator[Document]) -> Iterator[list[Document]]:
    while part := list(islice(documents, _SLICE)):
        yield part
