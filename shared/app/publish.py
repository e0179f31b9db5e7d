"""Publish: `failures.jsonl` and `summary.json`, derived whole from the state each time."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.sightings import RECIPE_NAME
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName
from shared.domain.report import render_failure
from shared.domain.summary import Summary, render_summary, summarize
from shared.ports.store import StaleWrite

FAILURES = "failures.jsonl"
SUMMARY = "summary.json"
_SLICE = 500


def publish(deps: Deps, name: JobName) -> Summary:
    """Write what is true of the job now.

    A change meanwhile leaves the job marked stale, and so does a failure that the index hides yet.
    """
    job = deps.store.job(name)
    summary = summary_of(deps, name)
    lines = [
        render_failure(document.path, document.failure)
        for document in _really_failed(deps, name)
        if document.failure is not None
    ]
    is_whole = len(lines) == summary.documents[DocumentStatus.FAILED]
    if job is not None and job.problem is not None:
        lines.insert(0, render_failure(RECIPE_NAME, job.problem))
    deps.reports.write_many(
        [
            (deps.output_key(name, FAILURES), b"".join(line + b"\n" for line in lines)),
            (deps.output_key(name, SUMMARY), render_summary(summary)),
        ]
    )
    if job is not None and job.stale and is_whole:
        with suppress(StaleWrite):
            deps.store.swap_job(replace(job, stale=False))
    return summary


def _really_failed(deps: Deps, name: JobName) -> Iterator[Document]:
    """The job's failed documents by their rows: the index may still show what waits again."""
    found = deps.store.failed(name)
    if not deps.policy.index_lag:
        yield from found
        return
    while part := list(islice(found, _SLICE)):
        rows = deps.store.documents(name, [document.path for document in part])
        for candidate in part:
            document = rows.get(candidate.path)
            if document is not None and document.status is DocumentStatus.FAILED:
                yield document


def summary_of(deps: Deps, name: JobName) -> Summary:
    """The job as it stands."""
    return summarize(
        job=name,
        documents=deps.store.count(name),
        batches=deps.store.batches(name),
        now=deps.clock(),
    )
