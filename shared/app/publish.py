"""Publish: `failures.jsonl` and `summary.json`, derived whole from the state each time."""

from collections.abc import Iterator

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.groups import change_job
from shared.app.sightings import RECIPE_NAME
from shared.domain.ids import JobName
from shared.domain.job import Job
from shared.domain.polling import affordable
from shared.domain.report import render_failure
from shared.domain.summary import Summary, render_summary, summarize

FAILURES = "failures.jsonl"
SUMMARY = "summary.json"


def publish(deps: Deps, name: JobName) -> Summary:
    """Write what is true of the job now. A change meanwhile leaves the job marked stale."""
    began = deps.clock()
    before = deps.store.job(name)
    summary = summary_of(deps, name)
    deps.reports.write_stream(deps.output_key(name, FAILURES), _failures(deps, name, before))
    deps.reports.write_many([(deps.output_key(name, SUMMARY), render_summary(summary))])
    ended = deps.clock()

    def published(job: Job) -> Job:
        return replace(
            job,
            stale=job.stale and before is not None and job.rev != before.rev,
            published_at=ended,
            publishing_s=max((ended - began).total_seconds(), 0.0),
        )

    change_job(deps.store, name, published)
    return summary


def publish_if_due(deps: Deps, job: Job) -> bool:
    """Publish unless that would be most of what is done: a job of a million takes a minute."""
    if job.published_at is not None and not affordable(
        ago=(deps.clock() - job.published_at).total_seconds(), took=job.publishing_s
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


def _failures(deps: Deps, name: JobName, job: Job | None) -> Iterator[bytes]:
    if job is not None and job.problem is not None:
        yield render_failure(RECIPE_NAME, job.problem) + b"\n"
    for document in deps.store.failed(name):
        if document.failure is not None:
            yield render_failure(document.path, document.failure) + b"\n"
