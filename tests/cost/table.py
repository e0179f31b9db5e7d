"""The bill as infra/README.md shows it."""

from decimal import ROUND_HALF_UP, Decimal

from tests.aws import TEMPLATE
from tests.cost.bill import (
    Line,
    Loads,
    assumed,
    lines,
    load_units,
    month_units,
    prices,
    total,
    uploads_units,
)
from tests.cost.load import RECIPE

README = TEMPLATE.parent / "README.md"
BEGIN, END = "<!-- cost: make cost WRITE=1 -->\n", "<!-- end of cost -->\n"
_CENT = Decimal("0.01")
_LEAST = Decimal("0.005")


def rendered(loads: Loads) -> str:
    """A table of a load, and one of a month at rest."""
    documents = assumed()["documents"]
    ours = lines(load_units(loads, documents=documents))
    theirs = lines(uploads_units(documents))
    month = lines(month_units(loads.split))
    head = (
        f"{documents:,} documents of {assumed()['document_bytes']:,} bytes by a recipe of "
        f"{len(RECIPE)}, without the model ({prices()['region']}, list prices {prices()['known']}, "
        "no free tier):"
    )
    return "\n".join(
        [
            head,
            "",
            *_rows(ours),
            f"| **docmill** | | | | **{shown(total(ours))}** |",
            f"| the uploads | PUT, by whoever uploads | {documents:,} | | {shown(total(theirs))} |",
            "",
            "A month of the stack, whatever it does:",
            "",
            *_rows(month),
            f"| **a month** | | | | **{shown(total(month))}** |",
            "",
        ]
    )


def shown(usd: Decimal) -> str:
    """Dollars and cents."""
    return f"{usd.quantize(_CENT, ROUND_HALF_UP)}"


def in_readme() -> str:
    """What stands there now."""
    return README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def write(text: str) -> None:
    """Put it there."""
    whole = README.read_text(encoding="utf-8")
    before, _, rest = whole.partition(BEGIN)
    README.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")


def _rows(found: list[Line]) -> list[str]:
    rows = ["| service | unit | count | price | dollars |", "|---|---|---:|---:|---:|"]
    small = [line for line in found if line.usd < _LEAST]
    rows += [
        f"| {line.service} | {line.what} | {_count(line)} | {_price(line)} | {shown(line.usd)} |"
        for line in found
        if line.usd >= _LEAST
    ]
    if small:
        rows.append(f"| the rest | each below half a cent | | | {shown(total(small))} |")
    return rows


def _count(line: Line) -> str:
    if line.per == 1_000_000_000:
        return f"{line.count / line.per:,.2f} GB"
    if line.per == 1:
        return f"{line.count:,.0f}"
    return f"{round(line.count, -3) if line.count >= 10_000 else round(line.count):,.0f}"


def _price(line: Line) -> str:
    unit = {1: "", 1_000_000: " / million", 1_000_000_000: " / GB"}[line.per]
    return f"{line.usd_per}{unit}"
