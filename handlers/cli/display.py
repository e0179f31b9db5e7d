"""What a run tells the person at it: live on a terminal, lines elsewhere, JSON for programs."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shared.domain.document import DocumentStatus
from shared.domain.names import escaped
from shared.domain.report import plain
from shared.domain.summary import Part, Summary

_SENTENCES = {
    "batch_submitting": "submitting batch {batch}: {requests} requests, {bytes} bytes",
    "batch_submitted": "batch {batch} submitted as {provider_id}: {requests} requests",
    "batch_ended": "batch {batch} ended",
    "batch_collected": "batch {batch} collected: {reported} reported, {failed} failed, "
    "{retried} to be tried again, ${cost_usd}",
    "batch_refused": "batch {batch} was refused: {message}",
    "batch_in_doubt": "no answer for batch {batch} ({message}); its {requests} documents wait "
    "until it is certain whether it exists",
    "batch_adopted": "batch {batch} exists after all, as {provider_id}",
    "batch_released": "batch {batch} was {message}; its documents wait again",
    "batch_vanished": "batch {batch}: {message}",
    "batch_canceling": "batch {batch} is being canceled",
    "cancel_failed": "batch {batch} could not be canceled: {message}",
    "collecting_put_off": "results of batch {batch} will be read again: {message}",
    "check_failed": "batch {batch} could not be looked at: {message}",
    "document_failed": "failed: {document}: {message}",
    "submitting_paused": "submitting waits until {until}: {message}",
    "submitting_resumed": "submitting goes on",
    "note": "{message}",
}
"""Events that a person is told of; the others are for programs."""

_ANY_WIDTH = 2000
"""Columns of a table that goes to a file or a pipe: wider than any path (900 bytes at most)."""


class Display(Protocol):
    """Listens to events; `refresh` is called when the numbers may have changed."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...
    def tell(self, event: str, facts: dict[str, object]) -> None: ...
    def refresh(self, summary: Summary) -> None: ...
    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal alone while the block runs, for a question."""
        ...

    def finish(self, summary: Summary, *, out: str) -> None: ...


def sentence(event: str, facts: dict[str, object]) -> str | None:
    """What an event is in words, on one line; None for events that only programs are told of."""
    pattern = _SENTENCES.get(event)
    if pattern is None:
        return None
    return escaped(pattern.format(**{name: _shown(value) for name, value in facts.items()}))


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, write: Callable[[str], None], *, simulated: bool = False) -> None:
        self._write = write
        self._simulated = simulated

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        return None

    def tell(self, event: str, facts: dict[str, object]) -> None:
        """Write the event's sentence."""
        if line := sentence(event, facts):
            self._write(line)

    def refresh(self, summary: Summary) -> None:
        """Lines tell events, not numbers."""

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to pause."""
        return nullcontext()

    def finish(self, summary: Summary, *, out: str) -> None:
        """Write the summary as a table."""
        console = Console(file=sys.stdout, highlight=False, width=_ANY_WIDTH)
        console.print(summary_table(summary))
        self._write(closing(summary, out, simulated=self._simulated))


class JsonLines:
    """One JSON object per event on standard output."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        return None

    def tell(self, event: str, facts: dict[str, object]) -> None:
        """Write the event."""
        line = json.dumps({"event": event, **facts}, default=str, ensure_ascii=True)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def refresh(self, summary: Summary) -> None:
        """Write where the job stands."""
        self.tell("progressed", _numbers(summary))

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to pause."""
        return nullcontext()

    def finish(self, summary: Summary, *, out: str) -> None:
        """Write the end."""
        self.tell("finished", {**_numbers(summary), "out": out})


class LivePanel:
    """Numbers that stay in place on a terminal, with notable events scrolling above them."""

    def __init__(self, console: Console, *, simulated: bool = False) -> None:
        self._console = console
        self._simulated = simulated
        self._started = time.monotonic()
        self._summary: Summary | None = None
        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tell(self, event: str, facts: dict[str, object]) -> None:
        """Let the event's sentence scroll by."""
        if line := sentence(event, facts):
            self._console.print(Text(line, style="dim"))

    def refresh(self, summary: Summary) -> None:
        """Show these numbers from now on."""
        self._summary = summary

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the panel off the terminal while the block runs."""
        self._live.stop()
        yield
        self._live.start()

    def finish(self, summary: Summary, *, out: str) -> None:
        """Leave the summary behind."""
        self._live.stop()
        self._console.print(summary_table(summary))
        self._console.print(Text(closing(summary, out, simulated=self._simulated)))

    def _render(self) -> Group | Text:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        clock = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        if self._summary is None:
            return Text(f"{clock}  reading the input")
        numbers = self._summary.documents
        table = Table.grid(padding=(0, 2))
        table.add_row("waiting", "in batches", "reported", "failed", "time", "cost so far")
        table.add_row(
            f"{numbers[DocumentStatus.WAITING]:,}",
            f"{numbers[DocumentStatus.IN_BATCH]:,}",
            f"[green]{numbers[DocumentStatus.REPORTED]:,}[/green]",
            f"[red]{numbers[DocumentStatus.FAILED]:,}[/red]",
            clock,
            dollars(self._summary) + (" (simulated)" if self._simulated else ""),
        )
        return Group(table)


def pick(*, as_json: bool, simulated: bool = False) -> Display:
    """The display that fits where the output goes."""
    if as_json:
        return JsonLines()
    console = Console(highlight=False)
    if console.is_terminal:
        return LivePanel(console, simulated=simulated)
    return Lines(lambda line: print(line, flush=True), simulated=simulated)


def dollars(summary: Summary) -> str:
    """What was spent, and whether some of it isn't known."""
    text = f"${plain(summary.totals.cost):,.4f}"
    unpriced = summary.totals.unpriced
    return f"{text} and {unpriced:,} requests of unknown price" if unpriced else text


def summary_table(summary: Summary) -> Table:
    """The job in one small table, a row per group where there are several."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("group")  # the only one that gives way on a narrow terminal
    for heading in (
        "reported",
        "truncated",
        "failed",
        "retried",
        "input",
        "output",
        "cost",
        "saved",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    whole = Part(documents=summary.documents, totals=summary.totals)
    groups = list(summary.groups.items()) if len(summary.groups) > 1 else []
    for name, part in [*groups, ("all", whole)]:
        counts, totals = part.documents, part.totals
        table.add_row(
            Text(escaped(name) or "(top)", no_wrap=True, overflow="ellipsis"),
            f"{counts[DocumentStatus.REPORTED]:,}",
            f"{totals.truncated:,}",
            f"{counts[DocumentStatus.FAILED]:,}",
            f"{totals.retried:,}",
            f"{totals.usage.input_tokens:,}",
            f"{totals.usage.output_tokens:,}",
            f"${plain(totals.cost):,.4f}" + ("+?" if totals.unpriced else ""),
            f"${plain(totals.saved):,.4f}",
        )
    return table


def closing(summary: Summary, out: str, *, simulated: bool) -> str:
    """The last line of a run."""
    counts = summary.documents
    failed = counts[DocumentStatus.FAILED]
    text = f"{counts[DocumentStatus.REPORTED]:,} of {summary.total:,} documents reported"
    if failed:
        text += f", {failed:,} failed (why: {out}/failures.jsonl)"
    if summary.open:
        text += f", {summary.open:,} still open"
    cost = f"would cost {dollars(summary)}" if simulated else f"cost {dollars(summary)}"
    text = escaped(f"{text}; {cost}, reports in {out}")
    return f"{text} (simulated: nothing was spent)" if simulated else text


def _numbers(summary: Summary) -> dict[str, object]:
    return {
        **{status.value: summary.documents[status] for status in DocumentStatus},
        "total": summary.total,
        "cost_usd": str(plain(summary.totals.cost)),
        "unpriced": summary.totals.unpriced,
    }
