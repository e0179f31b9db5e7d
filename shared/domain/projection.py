"""From what some documents came to, to what others may: costs, with how sure that is."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

FEW = 5
"""Fewer documents say nothing of their spread: then the range is that of the extremes."""

RESAMPLINGS = 1_000
_CENT = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one document came to: bytes of its content, tokens, US dollars, and how it ended.

    Dollars are None where no price is known. `failure` is the type of a failure, None for a report.
    """

    size: int
    input_tokens: int = 0
    output_tokens: int = 0
    input_cost: Decimal | None = Decimal(0)
    output_cost: Decimal | None = Decimal(0)
    truncated: bool = False
    failure: str | None = None

    @property
    def cost(self) -> Decimal | None:
        """US dollars for it."""
        if self.input_cost is None or self.output_cost is None:
            return None
        return self.input_cost + self.output_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How documents ended; `report_tokens` is the mean of what was written for a report:
    copies of one are of no account in it."""

    reported: int
    truncated: int
    failures: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    report_tokens: int | None = None
    cost: Decimal | None = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """US dollars that others may cost, if they are like those observed. `resampled`: nine in ten
    resamplings lie from `low` to `high`; else these are as if all were like the extremes."""

    likely: Decimal
    low: Decimal
    high: Decimal
    resampled: bool


def quality(observed: Sequence[Observed]) -> Quality:
    """Count how they ended, and what they used."""
    reports = [each for each in observed if each.failure is None]
    written = [each.output_tokens for each in reports if each.output_tokens]
    costs = [each.cost for each in observed]
    return Quality(
        reported=len(reports),
        truncated=sum(each.truncated for each in reports),
        failures=Counter(each.failure for each in observed if each.failure is not None),
        input_tokens=sum(each.input_tokens for each in observed),
        output_tokens=sum(each.output_tokens for each in observed),
        report_tokens=sum(written) // len(written) if written else None,
        cost=None if None in costs else sum((c for c in costs if c is not None), Decimal(0)),
    )


def project(
    observed: Sequence[Observed], *, documents: int, size: int, prompt: int
) -> Projection | None:
    """What `documents` of `size` bytes together may cost; None where nothing is known to go by.

    What goes in grows with a document's bytes and the `prompt`'s, which each is sent with; what
    comes out is taken to be as long as it was. The same observations always give the same range.
    """
    if not observed or any(each.cost is None for each in observed):
        return None
    if not documents:
        return Projection(likely=Decimal(0), low=Decimal(0), high=Decimal(0), resampled=False)
    parts = [
        (each.size + prompt, float(each.input_cost or 0), float(each.output_cost or 0))
        for each in observed
    ]
    whole = size + documents * prompt

    def total(chosen: Sequence[tuple[int, float, float]]) -> float:
        seen = sum(part[0] for part in chosen)
        into = sum(part[1] for part in chosen)
        by_bytes = into * whole / seen if seen else into * documents / len(chosen)
        return by_bytes + documents * sum(part[2] for part in chosen) / len(chosen)

    if len(parts) < FEW:
        likely = total(parts)
        each_alone = [total([part]) for part in parts]
        low, high = min(likely, *each_alone), max(likely, *each_alone)
        return Projection(
            likely=_dollars(likely), low=_dollars(low), high=_dollars(high), resampled=False
        )
    draw = random.Random(len(parts))
    totals = sorted(total(draw.choices(parts, k=len(parts))) for _ in range(RESAMPLINGS))
    likely = total(parts)
    low, high = totals[RESAMPLINGS // 20], totals[-1 - RESAMPLINGS // 20]
    return Projection(
        likely=_dollars(likely),
        low=_dollars(min(low, likely)),
        high=_dollars(max(high, likely)),
        resampled=True,
    )


def project_all(
    observed: Sequence[Observed], *, documents: int, size: int, prompt: int
) -> Projection | None:
    """What all `documents` cost, those observed among them: these have cost what they did, and only
    the others aren't known."""
    rest = project(
        observed,
        documents=max(documents - len(observed), 0),
        size=max(size - sum(each.size for each in observed), 0),
        prompt=prompt,
    )
    paid = quality(observed).cost
    if rest is None or paid is None:
        return None
    return replace(rest, likely=rest.likely + paid, low=rest.low + paid, high=rest.high + paid)


def _dollars(amount: float) -> Decimal:
    return Decimal(amount).quantize(_CENT)
