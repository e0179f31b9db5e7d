"""Publish: failures, summary and results tables, derived whole from the state each time."""

from collections.abc import Iterator

from msgspec.structs import replace

from shared.app.agreement import publish_agreement
from shared.app.candidates import still
from shared.app.deps import Deps
from shared.app.digest_notes import note_finished
from shared.app.groups import change_job
from shared.app.sightings import RECIPE_NAME
from shared.app.tables import publish_tables
from shared.domain.batch import BatchStatus
from shared.domain.digest import DIGEST_RECIPE, digested_job
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.job import Job
from shared.domain.polling import affordable
from shared.domain.report import render_failure
from shared.domain.summary import Summary, render_summary, summarize

FAILURES = "failures.jsonl"
SUMMARY = "summary.json"
_TRIES = 3
"""So often publishing is begun without coming to its end, before it counts as too long to be begun
at every chance: whoever does it may also have died of something else."""
_TIME_S = 280.0
"""What such a try may have taken: a function's time."""
_CLOSING = frozenset({BatchStatus.ENDED, BatchStatus.RELEASING, BatchStatus.FAILING})


def publish(deps: Deps, name: JobName) -> Summary:
    """Write what is true of the job now.

    A change meanwhile leaves the job marked stale, and so does a failure that the index hides yet.
    So does a batch that is being closed: whoever closes it has marked the job before, and may die
    before he can mark it after.
    """
    began = deps.clock()
    before = change_job(
        deps.store,
        name,
        lambda job: replace(job, publish_tries=job.publish_tries + 1, publish_tried_at=began),
    )
    summary = summary_of(deps, name)
    failures = _Failures(deps, name, before)
    deps.reports.write_stream(deps.output_key(name, FAILURES), failures)
    tables = publish_tables(deps, name)
    summary = summary.beside(publish_agreement(deps, name))
    rendered = render_summary(summary)
    digests = note_finished(
        deps, before, summary=rendered, published=deps.output_key(name, SUMMARY)
    )
    deps.reports.write_many([(deps.output_key(name, SUMMARY), rendered)])
    ended = deps.clock()
    is_whole = failures.count == summary.documents[DocumentStatus.FAILED] and not any(
        batch.status in _CLOSING for batch in summary.batches
    )

    def published(job: Job) -> Job:
        return replace(
            job,
            stale=job.stale and not (is_whole and job.rev == before.rev),
            published_at=ended,
            tables=job.tables or tables,
            digests=digests,
            publish_tries=0,
            publishing_s=max((ended - began).total_seconds(), 0.0),
        )

    change_job(deps.store, name, published)
    return summary


def publish_if_due(deps: Deps, job: Job) -> bool:
    """Publish unless that would be most of what is done: a job of a million takes a minute.

    On DynamoDB that minute costs two cents (130,000 read units). Nor is it begun again and again
    where it doesn't come to its end, as within a function's time it may not for ten million.
    """
    now = deps.clock()
    if job.published_at is not None and not affordable(
        ago=(now - job.published_at).total_seconds(), took=job.publishing_s
    ):
        return False
    if (
        job.publish_tries >= _TRIES
        and job.publish_tried_at is not None
        and not affordable(ago=(now - job.publish_tried_at).total_seconds(), took=_TIME_S)
    ):
        return False
    publish(deps, job.name)
    return True


def summary_of(deps: Deps, name: JobName) -> Summary:
    """The job as it stands."""
    return summarize(
        job=name,
        documents=deps.store.count(name),
        batches=deps.store.batches(name),
        now=deps.clock(),
    )


class _Failures:
    """The lines of `failures.jsonl`, counted as they are made."""

    def __init__(self, deps: Deps, name: JobName, job: Job) -> None:
        self._deps = deps
        self._name = name
        self._problem = job.problem
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        self.count = 0
        if self._problem is not None:
            recipe = RECIPE_NAME if digested_job(self._name) is None else DIGEST_RECIPE
            yield render_failure(recipe, self._problem, None) + b"\n"
        found = self._deps.store.failed(self._name)
        for document in still(self._deps, self._name, found, DocumentStatus.FAILED):
            if document.failure is not None:
                self.count += 1
                line = render_failure(document.path, document.failure, document.correlation_id)
                yield line + b"\n"
