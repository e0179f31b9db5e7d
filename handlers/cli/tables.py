"""Numbers in columns, as many as the width has room for."""

from collections.abc import Sequence
from datetime import timedelta

from rich.console import Group
from rich.table import Table
from rich.text import Text

from handlers.cli.in_flight import InFlight
from handlers.cli.wording import dollars, money, span
from shared.domain.document import DocumentStatus
from shared.domain.names import escaped
from shared.domain.summary import OPEN, Part, Summary
from shared.domain.totals import Totals

_ROWS = 20
_GAP = 2
_GROUP_WIDTH = 12
"""A group's name gives way down to this."""

_HEADINGS = (
    *("group", "reported", "truncated", "failed", "retried", "input", "output", "cost", "saved"),
)
_NARROWER = (_HEADINGS, ("group", "reported", "failed", "cost"), ("group", "reported", "failed"))
"""Choices of columns; what is left out is in summary.json."""

_OPEN = "open"
"""A column for what has neither a report nor a failure yet, where there is something."""


def summary_table(summary: Summary, *, width: int) -> Group:
    """The job in one small table, with a row for each of its largest groups if it has several;
    one without documents that cost nothing is none."""
    whole = Part(documents=summary.documents, totals=summary.totals)
    known = [item for item in summary.groups.items() if not _is_empty(item[1])]
    groups = known if len(known) > 1 else []
    largest = sorted(groups, key=lambda item: -item[1].documents.total())[:_ROWS]
    shown = dict(sorted(largest)) if len(groups) > _ROWS else dict(groups)
    rows = [_row(name, part) for name, part in [*shown.items(), ("all", whole)]]
    choices = [_with_open(each) for each in _NARROWER] if summary.open else list(_NARROWER)
    columns = next((c for c in choices if _width(c, rows) <= width), choices[-1])
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in columns:
        name = heading == "group"
        table.add_column(heading, justify="left" if name else "right", no_wrap=not name)
    for row in rows:
        table.add_row(
            Text(row["group"], no_wrap=True, overflow="ellipsis"),
            *(row[heading] for heading in columns[1:]),
        )
    left_out = len(groups) - len(shown)
    if not left_out:
        return Group(table)
    more = f"… and {left_out:,} more {'group' if left_out == 1 else 'groups'}, see summary.json"
    return Group(table, Text(more))


def _is_empty(part: Part) -> bool:
    return not part.documents.total() and part.totals == Totals()


def _with_open(columns: tuple[str, ...]) -> tuple[str, ...]:
    after = columns.index("failed") + 1
    return (*columns[:after], _OPEN, *columns[after:])


def _row(name: str, part: Part) -> dict[str, str]:
    counts, totals = part.documents, part.totals
    return {
        "group": escaped(name) or "(top)",
        "reported": f"{counts[DocumentStatus.REPORTED]:,}",
        "truncated": f"{totals.truncated:,}",
        "failed": f"{counts[DocumentStatus.FAILED]:,}",
        _OPEN: f"{sum(counts[status] for status in OPEN):,}",
        "retried": f"{totals.retried:,}",
        "input": f"{totals.usage.input_tokens:,}",
        "output": f"{totals.usage.output_tokens:,}",
        "cost": _short(money(totals.cost)) + ("+?" if totals.unpriced else ""),
        "saved": _short(money(totals.saved)),
    }


def _short(amount: str) -> str:
    return amount.replace("less than ", "<")


def _width(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> int:
    """How much room the columns need, with every name cut short."""
    rigid = [max(len(c), *(len(row[c]) for row in rows)) for c in columns[1:]]
    names = max(len(row["group"]) for row in rows)
    return min(max(names, len(columns[0])), _GROUP_WIDTH) + sum(rigid) + _GAP * len(rigid)


def panel(
    summary: Summary, flight: InFlight, *, since: timedelta, simulated: bool, width: int
) -> Table:
    """Where the job stands: in one row, or in lines where that is too wide."""
    numbers = summary.documents
    cells = {
        "waiting": Text(f"{numbers[DocumentStatus.WAITING]:,}"),
        "in batches": Text(f"{numbers[DocumentStatus.IN_BATCH]:,}"),
        "processing": Text(f"{flight.processing:,} of {flight.total:,}" if flight.total else "-"),
        "reported": Text(f"{numbers[DocumentStatus.REPORTED]:,}", style="green"),
        "failed": Text(f"{numbers[DocumentStatus.FAILED]:,}", style="red"),
        "time": Text(span(since)),
        "cost so far": Text(dollars(summary) + (" (simulated)" if simulated else "")),
    }
    table = Table.grid(padding=(0, _GAP))
    needed = sum(max(len(name), len(text)) + _GAP for name, text in cells.items())
    if needed <= width:
        table.add_row(*cells)
        table.add_row(*cells.values())
    else:
        for name, text in cells.items():
            table.add_row(name, text)
    return table
