"""A stack for one command: opened, its errors translated, its jobs known."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from handlers.cli.faults import Fault
from handlers.cli.stack.aws_errors import translated
from shared.app.sightings import is_document
from shared.app.uploads import UNPLACED
from shared.domain.digest import digested_job
from shared.domain.ids import JobName
from shared.domain.names import RESERVED, InvalidName, check_job, escaped
from shared.wiring.stack import Stack, open_stack

_SHOWN = 10


@contextmanager
def opened(name: str) -> Iterator[Stack]:
    """The stack of this name. Raises Fault for whatever a person can mend."""
    with translated(name), open_stack(name) as stack:
        yield stack


def named_job(name: str) -> JobName:
    """The job that an option names. Raises Fault."""
    try:
        check_job(name)
    except InvalidName as error:
        raise Fault(f"--job: {error.message}") from None
    if "/" in (digested_job(JobName(name)) or name):
        raise Fault(f"--job: {escaped(name)} holds a slash; folders below a job are --group")
    return JobName(name)


def filled_job(name: str) -> JobName:
    """The job that an option names to put documents into. Raises Fault."""
    job = named_job(name)
    # In any case: what is fetched may go to a file system that doesn't tell them apart.
    is_own = job == UNPLACED or digested_job(job) is not None
    if is_own or job.casefold() in RESERVED or not is_document(job):
        raise Fault(f"--job: docmill keeps the name {escaped(job)} for itself; choose another")
    return job


def jobs_of(stack: Stack) -> list[JobName]:
    """The jobs that have documents or reports, by name."""
    buckets = (stack.outputs.input_bucket, stack.outputs.output_bucket)
    return sorted({job for bucket in buckets for job in _tops(stack.s3, bucket)})


def only_job(stack: Stack, name: str | None) -> JobName:
    """The job that is named, or the only one there is. Raises Fault."""
    found = jobs_of(stack)
    if name is not None:
        job = named_job(name)
        if (digested_job(job) or job) not in found:
            raise Fault(f"the stack {stack.name} has no job {escaped(job)}; {_listed(found)}")
        return job
    if len(found) != 1:
        raise Fault(f"which job of the stack {stack.name}? Name one with --job; {_listed(found)}")
    return found[0]


def _listed(jobs: list[JobName]) -> str:
    if not jobs:
        return "nothing was dropped there yet"
    more = f" and {len(jobs) - _SHOWN:,} more" if len(jobs) > _SHOWN else ""
    return f"there: {', '.join(escaped(job) for job in jobs[:_SHOWN])}{more}"


def _tops(s3: Any, bucket: str) -> Iterator[JobName]:
    """The first segments of a bucket's keys; S3 passes over what lies below them."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/")
    for page in pages:
        for found in page.get("CommonPrefixes", ()):
            if name := found["Prefix"].removesuffix("/"):
                yield JobName(name)
