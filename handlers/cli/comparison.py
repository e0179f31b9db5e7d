"""What a comparison came to, as a table for a person and as one object for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from handlers.cli.json_lines import json_line
from handlers.cli.sampling import Sample
from handlers.cli.session import LEFT_OPEN
from handlers.cli.variants import Variant
from handlers.cli.wording import counted, money, span
from shared.domain.document import Failure
from shared.domain.names import escaped
from shared.domain.projection import Observed, Projection, Quality
from shared.domain.report import plain
from shared.wiring.laptop import utc_now

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One variant's part. `whole` is what all documents of the input would cost; `reports` are the
    keys of reports in its output, by document."""

    variant: Variant
    observed: Mapping[str, Observed]
    quality: Quality
    whole: Projection | None
    elapsed: timedelta
    reports: Mapping[str, str]
    failures: Mapping[str, Failure]
    open: int

    @property
    def exit_status(self) -> int:
        """As of a run over the sample."""
        if self.open:
            return LEFT_OPEN
        return 1 if self.failures else 0

    def cells(self) -> dict[str, str]:
        """Its numbers as one reads them, each below its heading."""
        known, whole = self.quality, self.whole
        found = {
            "reported": f"{len(self.reports):,}",
            "cut off at max_tokens": f"{known.truncated:,}",
            "failed": f"{len(self.failures):,}",
            "tokens in": f"{known.input_tokens:,}",
            "tokens out": f"{known.output_tokens:,}",
            "cost": _UNKNOWN if known.cost is None else money(known.cost),
        }
        amounts = (whole.likely, whole.low, whole.high) if whole else (None, None, None)
        for heading, amount in zip(("all would cost", "from", "to"), amounts, strict=True):
            found[heading] = _UNKNOWN if amount is None else money(amount, digits=2)
        return {**found, "time": span(self.elapsed)}


def basis(sample: Sample, compared: Sequence[Compared]) -> str:
    """What the numbers are of, in one line."""
    text = (
        f"a sample of {len(sample.paths):,} of {counted(sample.documents, 'document')}; all of "
        "them would cost what the sample did, and the rest as much for their bytes"
    )
    if any(each.whole is not None and each.whole.resampled for each in compared):
        text += ", with the range of nine in ten resamplings"
    return text


def show(page: Path, sample: Sample, compared: Sequence[Compared]) -> None:
    """A table with a column for each variant, as names are long; and where the page is."""
    for number, each in enumerate(compared, 1):
        recipe = each.variant.recipe
        click.echo(escaped(f"{number}: {recipe.name}, {recipe.model}, in {each.variant.out}"))
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("")
    for number in range(1, len(compared) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    columns = [each.cells() for each in compared]
    for heading in columns[0]:
        table.add_row(heading, *(Text(column[heading]) for column in columns))
    Console(highlight=False, soft_wrap=True).print(table)
    click.echo(basis(sample, compared))
    click.echo(escaped(f"reports side by side: {page}"))


def show_json(page: Path, sample: Sample, compared: Sequence[Compared]) -> None:
    """One event."""
    click.echo(
        json_line(
            {
                "event": "compared",
                "at": utc_now(),
                "page": str(page),
                "sample": len(sample.paths),
                "documents": sample.documents,
                "bytes": sample.bytes,
                "variants": [_variant(each) for each in compared],
            }
        )
    )


def _variant(each: Compared) -> dict[str, object]:
    known, whole = each.quality, each.whole
    return {
        "name": each.variant.name,
        "out": str(each.variant.out),
        "recipe": each.variant.recipe.name,
        "model": each.variant.recipe.model,
        "reported": len(each.reports),
        "truncated": known.truncated,
        "failed": len(each.failures),
        "open": each.open,
        "failures": dict(known.failures),
        "input_tokens": known.input_tokens,
        "output_tokens": known.output_tokens,
        "report_tokens": known.report_tokens,
        "cost_usd": _amount(known.cost),
        "all_likely_usd": _amount(whole.likely if whole else None),
        "all_low_usd": _amount(whole.low if whole else None),
        "all_high_usd": _amount(whole.high if whole else None),
        "elapsed_s": each.elapsed.total_seconds(),
    }


def _amount(dollars: Decimal | None) -> Decimal | None:
    return None if dollars is None else plain(dollars)
