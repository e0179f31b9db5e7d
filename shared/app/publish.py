"""Publish: `failures.jsonl` and `summary.json`, derived whole from the state each time."""

from contextlib import suppress

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.sightings import RECIPE_NAME
from shared.domain.ids import JobName
from shared.domain.report import render_failure
from shared.domain.summary import Summary, render_summary, summarize
from shared.ports.store import StaleWrite

FAILURES = "failures.jsonl"
SUMMARY = "summary.json"


def publish(deps: Deps, name: JobName) -> Summary:
    """Write what is true of the job now. A change meanwhile leaves the job marked stale."""
    job = deps.store.job(name)
    summary = summary_of(deps, name)
    lines = [
        render_failure(document.path, document.failure)
        for document in deps.store.failed(name)
        if document.failure is not None
    ]
    if job is not None and job.problem is not None:
        lines.insert(0, render_failure(RECIPE_NAME, job.problem))
    deps.reports.write_many(
        [
            (deps.output_key(name, FAILURES), b"".join(line + b"\n" for line in lines)),
            (deps.output_key(name, SUMMARY), render_summary(summary)),
        ]
    )
    if job is not None and job.stale:
        with suppress(StaleWrite):
            deps.store.swap_job(replace(job, stale=False))
    return summary


def summary_of(deps: Deps, name: JobName) -> Summary:
    """The job as it stands."""
    return summarize(
        job=name,
        documents=deps.store.count(name),
        batches=deps.store.batches(name),
        now=deps.clock(),
    )
