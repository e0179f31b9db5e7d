"""What a run tells the person at it: live on a terminal, lines elsewhere, JSON for programs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from handlers.cli.in_flight import in_flight
from handlers.cli.json_lines import amounts, json_line, numbers
from handlers.cli.tables import panel, summary_table
from handlers.cli.wording import NOTE, Telling, closing, dollars, span
from shared.domain.document import DocumentStatus
from shared.domain.summary import Summary
from shared.wiring.laptop import utc_now

SIGN_OF_LIFE_S = 300.0
"""Who waits for hours is told this often that nothing has changed."""

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

    def finish(self, summary: Summary, *, out: str, status: int) -> None: ...


class _Unheld:
    """What only writes: nothing is begun, ended or in a question's way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        return None

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to pause."""
        return nullcontext()


class Lines(_Unheld):
    """Plain lines, for logs and pipes."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        simulated: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._simulated = simulated
        self._clock = clock
        self._started = clock()
        self._telling = Telling()
        self._told = ""
        self._told_at = self._started

    def tell(self, event: str, facts: dict[str, object]) -> None:
        """Write the event's sentence."""
        if line := self._telling.sentence(event, facts):
            self._write(line)

    def refresh(self, summary: Summary) -> None:
        """Write where the job stands, if that has changed or was not told for long."""
        now = self._clock()
        line = self._standing(summary)
        if line == self._told and now - self._told_at < SIGN_OF_LIFE_S:
            return
        self._told, self._told_at = line, now
        self._write(f"{span(timedelta(seconds=now - self._started))}  {line}")

    def _standing(self, summary: Summary) -> str:
        counts, flight = summary.documents, in_flight(summary)
        at_provider = ""
        if flight.total:
            at_provider = f" (processing {flight.processing:,} of {flight.total:,})"
        return (
            f"{counts[DocumentStatus.WAITING]:,} waiting, "
            f"{counts[DocumentStatus.IN_BATCH]:,} in batches{at_provider}, "
            f"{counts[DocumentStatus.REPORTED]:,} reported, "
            f"{counts[DocumentStatus.FAILED]:,} failed, {dollars(summary)} so far"
            + (" (simulated)" if self._simulated else "")
        )

    def finish(self, summary: Summary, *, out: str, status: int) -> None:  # noqa: ARG002 - for programs
        """Write the summary as a table."""
        console = Console(file=sys.stdout, highlight=False, width=_ANY_WIDTH)
        console.print(summary_table(summary, width=_ANY_WIDTH))
        self._write(closing(summary, out, simulated=self._simulated))


class JsonLines(_Unheld):
    """One JSON object per event on standard output."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock

    def tell(self, event: str, facts: dict[str, object]) -> None:
        """Write the event."""
        if event == NOTE:
            return
        line = json_line({"event": event, "at": self._clock(), **amounts(facts)})
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def refresh(self, summary: Summary) -> None:
        """Write where the job stands."""
        self.tell("progressed", numbers(summary))

    def finish(self, summary: Summary, *, out: str, status: int) -> None:
        """Write the end."""
        self.tell("finished", {**numbers(summary), "out": out, "exit_status": status})


class LivePanel:
    """Numbers that stay in place on a terminal, with notable events scrolling above them."""

    def __init__(self, console: Console, *, simulated: bool = False) -> None:
        self._console = console
        self._simulated = simulated
        self._telling = Telling()
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
        if line := self._telling.sentence(event, facts):
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

    def finish(self, summary: Summary, *, out: str, status: int) -> None:  # noqa: ARG002 - for programs
        """Leave the summary behind."""
        self._live.stop()
        self._console.print(summary_table(summary, width=self._console.width))
        self._console.print(Text(closing(summary, out, simulated=self._simulated)))

    def _render(self) -> Table | Text:
        since = timedelta(seconds=time.monotonic() - self._started)
        if self._summary is None:
            return Text(f"{span(since)}  reading the input")
        return panel(
            self._summary,
            in_flight(self._summary),
            since=since,
            simulated=self._simulated,
            width=self._console.width,
        )


def pick(*, as_json: bool, simulated: bool = False) -> Display:
    """The display that fits where the output goes."""
    if as_json:
        return JsonLines()
    console = Console(highlight=False)
    if console.is_terminal:
        return LivePanel(console, simulated=simulated)
    return Lines(lambda line: print(line, flush=True), simulated=simulated)
