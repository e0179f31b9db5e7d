"""`docmill status` of a stack: what was published, how old that is, and what the moment knows.

No document is read: the counts are those of `summary.json`, which the stack writes whenever
something has changed. Only live batches, the pause, the jobs' problems and the queues are asked
for.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from handlers.cli.display import pick
from handlers.cli.faults import Fault
from handlers.cli.json_lines import exact, json_line
from handlers.cli.session import LEFT_OPEN, exit_status
from handlers.cli.stack.opened import jobs_of, named_job, opened
from handlers.cli.stack.redrive import waiting
from handlers.cli.status import batch_line
from handlers.cli.wording import counted, dollars, moment, span
from shared.adapters.s3_blobs import THREADS
from shared.app.publish import SUMMARY
from shared.domain.batch import LIVE, Batch
from shared.domain.digest import digested_job
from shared.domain.document import Failure
from shared.domain.ids import JobName
from shared.domain.names import escaped
from shared.domain.pause import Pause, PauseReason
from shared.domain.policy import EVER
from shared.domain.published import NotASummary, read_summary
from shared.domain.summary import SHOWN, Summary
from shared.ports.blobs import BlobNotFound
from shared.wiring.ambient import utc_now
from shared.wiring.stack import Stack

_BATCHES = 20
_MANY = 1_000_000
_WIDTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A job as it was published, None where nothing was yet; `stale` says that it has changed."""

    job: JobName
    content: bytes | None
    summary: Summary | None
    at: datetime | None
    stale: bool
    problem: Failure | None

    @property
    def exit_status(self) -> int:
        """What a run would end with; a summary that is behind doesn't show the end."""
        if self.summary is None or self.stale or self.problem is not None:
            return LEFT_OPEN
        return exit_status(self.summary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is asked for at this moment, of the whole stack."""

    now: datetime
    pause: Pause | None
    batches: tuple[Batch, ...]
    uploads: int
    dead_uploads: int
    dead_collects: int

    def of(self, job: JobName) -> list[Batch]:
        """The job's live batches, the oldest first."""
        found = (batch for batch in self.batches if batch.job == job)
        return sorted(found, key=lambda batch: batch.planned_at)


def status(stack: str, *, job: str | None, as_json: bool) -> int:
    """Show one job, or list them; the exit status is the gravest of those shown."""
    with opened(stack) as found:
        names = jobs_of(found)
        wanted = [named_job(job)] if job is not None else names
        if job is not None and (digested_job(wanted[0]) or wanted[0]) not in names:
            listed = ", ".join(map(escaped, names[:10])) or "none yet"
            raise Fault(f"the stack {stack} has no job {escaped(job)}; there: {listed}")
        shown = _published(found, wanted)
        now = _moment(found)
        bucket = found.outputs.output_bucket
    status_code = max((each.exit_status for each in shown), default=LEFT_OPEN)
    if now.uploads or now.dead_uploads or now.dead_collects:
        status_code = LEFT_OPEN
    if as_json:
        click.echo(json_line(_as_json(stack, shown, now, one=job is not None)))
        return status_code
    if len(shown) == 1:
        _show_job(bucket, shown[0], now)
    else:
        _show_jobs(stack, shown, now)
    for line in _moment_lines(now):
        click.echo(escaped(line))
    return status_code


def _published(stack: Stack, names: Sequence[JobName]) -> list[Published]:
    def look(name: JobName) -> Published:
        known = stack.store.job(name)
        content = summary = None
        try:
            content = stack.reports.read(f"{name}/{SUMMARY}")
            summary = read_summary(content)
        except BlobNotFound:
            pass
        except NotASummary:
            content = None
        return Published(
            job=name,
            content=content,
            summary=summary,
            at=known.published_at if known is not None else None,
            stale=known is not None and known.stale,
            problem=known.problem if known is not None else None,
        )

    with ThreadPoolExecutor(THREADS, thread_name_prefix="status") as pool:
        return list(pool.map(look, names))


def _moment(stack: Stack) -> Moment:
    now = utc_now()
    pause = stack.store.pause()
    lasting = pause is not None and (pause.reason is PauseReason.ACCESS or pause.until > now)
    found = (stack.store.due(each, now=now + EVER, limit=_MANY) for each in LIVE)
    return Moment(
        now=now,
        pause=pause if lasting else None,
        batches=tuple(batch for batches in found for batch in batches),
        uploads=waiting(stack, stack.outputs.upload_queue),
        dead_uploads=waiting(stack, stack.outputs.upload_dead_letters),
        dead_collects=waiting(stack, stack.outputs.collect_dead_letters),
    )


def _show_job(bucket: str, found: Published, now: Moment) -> None:
    for line in _job_lines(found, now):
        click.echo(escaped(line))
    if found.summary is not None:
        out = f"s3://{bucket}/{found.job}"
        pick(as_json=False).finish(found.summary, out=out, status=found.exit_status)


def _job_lines(found: Published, now: Moment) -> list[str]:
    lines = [f"job {found.job}: {_age(found, now.now)}"]
    if found.problem is not None:
        lines.append(f"held: {found.problem.message}")
    if found.summary is not None:
        counts = found.summary.documents
        lines += [f"{s.value.replace('_', ' ')}: {counts[s]:,}" for s in SHOWN if counts[s]]
    batches = now.of(found.job)
    lines += [batch_line(batch, now.now) for batch in batches[:_BATCHES]]
    if len(batches) > _BATCHES:
        lines.append(f"… and {counted(len(batches) - _BATCHES, 'more batch')}")
    return lines


def _age(found: Published, now: datetime) -> str:
    if found.summary is None:
        return "nothing is published of it yet; the stack does that every few minutes"
    if found.at is None:
        return "published, nobody knows when"
    text = f"as published {span(now - found.at)} ago, at {moment(found.at, now=now)}"
    return f"{text}; what changed since follows" if found.stale else text


def _show_jobs(stack: str, shown: Sequence[Published], now: Moment) -> None:
    if not shown:
        click.echo(f"nothing was dropped into {escaped(stack)} yet")
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("job", overflow="fold")
    for heading in ("waiting", "in batch", "reported", "failed", "cost", "published"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in shown:
        name = escaped(each.job) + (" (held)" if each.problem is not None else "")
        if each.summary is None:
            table.add_row(name, "", "", "", "", "", "not yet")
            continue
        counts = each.summary.documents
        at = f"{span(now.now - each.at)} ago" if each.at is not None else "?"
        table.add_row(
            name,
            *(f"{counts[status]:,}" for status in SHOWN),
            dollars(each.summary),
            at + ("*" if each.stale else ""),
        )
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    console.print(table)
    if any(each.stale for each in shown):
        click.echo("* what changed since follows")


def _moment_lines(now: Moment) -> list[str]:
    lines = []
    if now.uploads:
        lines.append(f"{counted(now.uploads, 'upload')} to be taken in")
    if now.pause is not None and now.pause.reason is PauseReason.ACCESS:
        lines.append(f"submitting is stopped: {now.pause.message}")
    elif now.pause is not None:
        until = moment(now.pause.until, now=now.now)
        lines.append(f"submitting waits until {until}: {now.pause.message}")
    for count, what in ((now.dead_uploads, "upload"), (now.dead_collects, "collect message")):
        if count:
            lines.append(
                f"{counted(count, what)} failed again and again: see `record_failed` in the log, "
                "then `docmill redrive`"
            )
    return lines


def _as_json(
    stack: str, shown: Sequence[Published], now: Moment, *, one: bool
) -> dict[str, object]:
    pause = now.pause
    whole: dict[str, object] = {
        "stack": stack,
        "at": now.now,
        "pause": pause and {k: getattr(pause, k) for k in ("until", "reason", "message")},
        "uploads_waiting": now.uploads,
        "dead_letters": {"uploads": now.dead_uploads, "collects": now.dead_collects},
    }
    if one:
        return _job_json(shown[0], now) | whole
    return whole | {"jobs": [_job_json(each, now) for each in shown]}


def _job_json(found: Published, now: Moment) -> dict[str, Any]:
    """`summary.json` as published, with what the moment knows of the job."""
    problem = found.problem
    return (exact(found.content) if found.content is not None else {"job": found.job}) | {
        "published_at": found.at,
        "stale": found.stale,
        "problem": problem and {"type": problem.type, "message": problem.message},
        "live_batches": [
            {
                "id": batch.id,
                "provider_id": batch.provider_id,
                "group": batch.group,
                "status": batch.status,
                "requests": batch.requests,
                "processing": batch.counts.processing if batch.counts else None,
                "expires_at": batch.expires_at,
                "note": batch.note,
            }
            for batch in now.of(found.job)
        ],
    }
