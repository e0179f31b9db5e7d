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
from shared.domain.summary import Part, Summary

_ROWS = 20
_GAP = 2
_GROUP_WIDTH = 12
"""A group's name gives way down to this."""

_HEADINGS = (
    *("group", "reported", "truncated", "failed", "retried", "input", "output", "cost", "saved"),
)
_NARROWER = (_HEADINGS, ("group", "reported", "failed", "cost"), ("group", "reported", "failed"))
"""Choices of columns; what is left out is in summary.json."""


def summary_table(summary: Summary, *, width: int) -> Group:
    """The job in one small table, with a row for each of its largest groups if it has several."""
    whole = Part(documents=summary.documents, totals=summary.totals)
    groups = list(summary.groups.items()) if len(summary.groups) > 1 else []
    largest = sorted(groups, key=lambda item: -item[1].documents.total())[:_ROWS]
    shown = dict(sorted(largest)) if len(groups) > _ROWS else dict(groups)
    rows = [_row(name, part) for name, part in [*shown.items(), ("all", whole)]]
    columns = next((c for c in _NARROWER if _width(c, rows) <= width), _NARROWER[-1])
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


def _row(name: str, part: Part) -> dict[str, str]:
    counts, totals = part.documents, part.totals
    return {
        "group": escaped(name) or "(top)",
        "reported": f"{counts[DocumentStatus.REPORTED]:,}",
        "truncated": f"{totals.truncated:,}",
        "failed": f"{counts[DocumentStatus.FAILED]:,}",
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
