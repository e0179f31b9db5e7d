"""`docmill status`: where a job stands. It only reads, and may do no more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from handlers.cli.display import pick
from handlers.cli.faults import Fault
from handlers.cli.json_lines import exact, json_line
from handlers.cli.memory import last_run
from handlers.cli.options import Options, parse
from handlers.cli.session import LEFT_OPEN, existing_output, exit_status, translated_errors
from handlers.cli.wording import counted, moment, span
from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.names import escaped
from shared.domain.pause import Pause, PauseReason
from shared.domain.summary import Summary, render_summary, summarize
from shared.wiring.laptop import JOB, reading_store, utc_now

_BATCHES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What there is to say. `options` is None where no run went on yet."""

    summary: Summary
    pause: Pause | None
    options: Options | None
    now: datetime

    @property
    def not_begun(self) -> str | None:
        """Why what is known here may not be all: None once a run had taken all in and went on."""
        if not self.summary.total and not self.summary.batches:
            return "nothing was taken in yet; run it again"
        if self.options is None:
            return "no run went on yet, so there may be more documents; run it again"
        return None

    @property
    def exit_status(self) -> int:
        """What a run would end with now."""
        return LEFT_OPEN if self.not_begun else exit_status(self.summary)

    @property
    def recipe(self) -> str | None:
        """The name of the recipe."""
        return self.options.recipe_name if self.options else None

    @property
    def model(self) -> str | None:
        """The recipe's model; None for a recipe that this version can't read any more."""
        try:
            return parse(self.options).model if self.options else None
        except Fault:
            return None


def status(out: Path, *, as_json: bool, clock: Callable[[], datetime] = utc_now) -> int:
    """Show it, and answer with the exit status that a run would have now."""
    with translated_errors(out):
        existing_output(out)
        found = _standing(out, clock())
    if as_json:
        click.echo(json_line(_as_json(found)))
        return found.exit_status
    for line in _lines(found):
        click.echo(escaped(line))
    display = pick(as_json=False, simulated=bool(found.options and found.options.simulate))
    display.finish(found.summary, out=str(out), status=found.exit_status)
    return found.exit_status


def _standing(out: Path, now: datetime) -> Standing:
    store = reading_store(out)
    try:
        pause = store.pause()
        return Standing(
            summary=summarize(
                job=JOB, documents=store.count(JOB), batches=store.batches(JOB), now=now
            ),
            pause=pause if pause is not None and (_stops(pause) or pause.until > now) else None,
            options=last_run(store),
            now=now,
        )
    finally:
        store.close()


def _stops(pause: Pause) -> bool:
    """No time ends it: a person does, and runs it again."""
    return pause.reason is PauseReason.ACCESS


def _as_json(found: Standing) -> dict[str, object]:
    """`summary.json` as it would be now, and what only the moment knows."""
    whole = exact(render_summary(found.summary))
    written = whole.pop("batches")
    pause = found.pause
    return {
        **whole,
        "at": found.now,
        "recipe": found.recipe,
        "model": found.model,
        "simulated": found.options.simulate if found.options else None,
        "pause": pause and {k: getattr(pause, k) for k in ("until", "reason", "message")},
        "batches": [
            {
                **each,
                "expires_at": batch.expires_at,
                "processing": batch.counts.processing if batch.counts else None,
            }
            for each, batch in zip(written, found.summary.batches, strict=True)
        ],
    }


def _lines(found: Standing) -> list[str]:
    summary = found.summary
    lines = [f"recipe {found.recipe}" + (f", {found.model}" if found.model else "")]
    if found.options is None:
        lines = []
    if found.not_begun:
        lines.append(found.not_begun)
    lines += [f"{s.value.replace('_', ' ')}: {count:,}" for s, count in summary.documents.items()]
    newest = sorted(summary.batches, key=lambda b: (b.status in LIVE, b.planned_at), reverse=True)
    lines += [batch_line(batch, found.now) for batch in newest[:_BATCHES]]
    more = len(newest) - _BATCHES
    if more > 0:
        lines.append(f"… and {counted(more, 'more batch')}, see `docmill status --json`")
    if found.pause is not None and _stops(found.pause):
        lines.append(f"submitting is stopped: {found.pause.message}")
    elif found.pause is not None:
        until = moment(found.pause.until, now=found.now)
        lines.append(f"submitting waits until {until}: {found.pause.message}")
    return lines


def batch_line(batch: Batch, now: datetime) -> str:
    """One batch in a line."""
    line = f"batch {batch.id} {batch.status.value}: {counted(batch.requests, 'request')}"
    if batch.provider_id:
        line += f", {batch.provider_id}"
    if batch.status is BatchStatus.IN_PROGRESS:
        if batch.counts is not None:
            line += f", {batch.counts.processing:,} processing when last looked at"
        if batch.created_at is not None:
            line += f", {span(now - batch.created_at)} old"
        if batch.expires_at is not None and batch.expires_at > now:
            line += f", expires in {span(batch.expires_at - now)}"
        elif batch.expires_at is not None:
            line += f", expired at {moment(batch.expires_at, now=now)}"
    return f"{line} ({batch.note})" if batch.note else line
