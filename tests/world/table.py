"""What many worlds came to, as a table for a person."""

from collections.abc import Mapping

from tests.world.runner import Result
from tests.world.weather import Fault

_MOST_NAMED = 20


def table(result: Result, seconds: float) -> str:
    """All numbers, and every violation with how to replay it."""
    lines = [
        _row("seeds", result.seeds, {"on a laptop": result.laptops}),
        _row("seeds per second", round(result.seeds / max(seconds, 1e-9), 1)),
        _row("runs of use cases", result.runs),
        _row("calls on ports", result.calls),
        _row("documents", sum(result.documents.values()), result.documents),
        _row("batches", sum(result.batches.values()), result.batches),
        _row("requests accepted", result.requests),
        _row("runs failed, to go on", sum(result.escaped.values()), result.escaped),
        _row("faults", sum(result.faults.values())),
    ]
    lines += [_row(f"  {fault}", result.faults[fault]) for fault in Fault]
    lines.append(_row("violations", len(result.broken)))
    for seed, rule, facts in result.broken[:_MOST_NAMED]:
        lines += [f"  seed {seed}: {rule}", f"    {facts}", f"    make simulate SEED={seed}"]
    if len(result.broken) > _MOST_NAMED:
        lines.append("  seeds: " + " ".join(str(seed) for seed, _, _ in result.broken))
    return "\n".join(lines)


def _row(name: str, number: float, parts: Mapping[str, int] | None = None) -> str:
    shown = ", ".join(f"{count:,} {part}" for part, count in sorted((parts or {}).items()))
    return f"{name:<40}{number:>12,}{'  ' + shown if shown else ''}"
