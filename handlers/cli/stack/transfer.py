"""How far a transfer is: a bar on a terminal, a line now and then elsewhere, JSON for programs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from handlers.cli.json_lines import json_line
from shared.domain.names import escaped
from shared.wiring.ambient import utc_now

_EVERY_S = 30.0
_SHOWN = 5


def size(number: int) -> str:
    """Bytes as a person reads them."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= scale:
            return f"{number / scale:,.1f} {unit}"
    return f"{number:,} bytes"


@dataclass(slots=True)
class Faults:
    """What was left out: all are counted, the first few are named."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(message)

    def show(self) -> None:
        """Name them on standard error."""
        for message in self.first:
            click.echo(f"docmill: {escaped(message)}", err=True)
        if self.count > len(self.first):
            click.echo(f"docmill: … and {self.count - len(self.first):,} more", err=True)


class Meter:
    """Counts, and shows the count where somebody looks."""

    def __init__(self, shown: Progress | None, task: TaskID | None, *, quiet: bool) -> None:
        self._shown = shown
        self._task = task
        self._quiet = quiet
        self._told_at = time.monotonic()
        self._seen = 0

    def advance(self, seen: int, volume: int = 0) -> None:
        """So many more were looked at, and so many bytes of them moved."""
        self._seen += seen
        if self._shown is not None and self._task is not None:
            moved = self._shown.tasks[self._task].fields["volume"] + volume
            self._shown.update(self._task, advance=seen, volume=moved, moved=size(moved))
        elif not self._quiet and time.monotonic() - self._told_at > _EVERY_S:
            self._told_at = time.monotonic()
            click.echo(f"{self._seen:,} so far")


@contextmanager
def meter(what: str, *, total: int | None, as_json: bool) -> Iterator[Meter]:
    """Show how far it is while the block runs; `total` is None where nobody knows."""
    console = Console(highlight=False)
    if as_json or not console.is_terminal:
        yield Meter(None, None, quiet=as_json)
        return
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TextColumn("{task.fields[moved]}"), TimeElapsedColumn()),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total, volume=0, moved="")
        yield Meter(progress, task, quiet=False)


def tell(line: str, *, event: str, facts: dict[str, object], as_json: bool) -> None:
    """The end: a sentence, or an object for programs."""
    if as_json:
        click.echo(json_line({"event": event, "at": utc_now(), **facts}))
    else:
        click.echo(escaped(line))
