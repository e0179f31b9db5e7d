"""`python -m tests.load`: an hour of uploads, as deployed and where a quota is short."""

import resource
import time
from datetime import datetime, timedelta

import click

from tests.faults.scratch import scratch
from tests.load.hour import START, Hour, Quotas

SCENARIOS: dict[str, tuple[int, Quotas]] = {
    "a tenth": (1, Quotas()),
    "a million": (10, Quotas()),
    "a million, set for it": (10, Quotas(intake_concurrency=15, batch_requests=25_000)),
    "two intakes": (10, Quotas(intake_concurrency=2)),
    "a table of 500 writes a second": (10, Quotas(table_writes=500, partition_writes=500)),
    "a queue of 100,000 at the provider, slow": (
        10,
        Quotas(provider_queue=100_000, batch_minutes=(60, 120), batch_requests=25_000),
    ),
}
"""How many uploads each document stands for, and what is short."""


@click.command()
@click.option("--documents", default=100_000, show_default=True)
@click.option("--only", type=click.Choice(list(SCENARIOS)), help="One of them.")
def main(documents: int, only: str | None) -> None:
    """Each scenario in turn, with its figures; each has to report every document, sent once."""
    for name, (weight, quotas) in SCENARIOS.items():
        if only in {None, name}:
            began = time.monotonic()
            with scratch() as folder:
                hour = Hour(documents=documents, folder=folder, weight=weight, quotas=quotas)
                hour.run()
                hour.check()
                hour.store.close()
            click.echo(table(name, hour))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            click.echo(f"  (simulated in {time.monotonic() - began:.0f} s; peak {peak} MiB)")


def table(name: str, hour: Hour) -> str:
    """What an hour came to."""
    many = hour.documents * hour.weight
    writes = {name: quota.peak for name, quota in hour.table.partitions.items()}
    waits = sum(quota.waited_s for quota in hour.table.partitions.values())
    by_partition = ", ".join(f"{count:,} {partition}" for partition, count in writes.items())
    until = {"taken in": hour.taken_in, "submitted": hour.submitted, "reported": hour.over}
    told = {
        "uploads waiting at most": f"{hour.backlog * hour.weight:,}, for {hour.oldest_s:,.0f} s",
        "minutes until all are": ", ".join(f"{what} {_minutes(at)}" for what, at in until.items()),
        "calls of functions": _shown(hour.ran),
        "the longest, seconds": _shown(hour.longest_s),
        "cut short": _shown(hour.ended_badly) or "none",
        "units of the table in the busiest second": f"{hour.table.table.peak:,}",
        "of its partitions": by_partition,
        "waited for units": f"{waits:,.0f} s",
        "batches": str(len(hour.simulator.batches)),
        "submitting put off": f"{hour.events['submitting_paused']} times",
        "calls of the provider": _shown(hour.api.calls),
        "lost, or sent twice": "none",
    }
    lines = [f"{what}: {figures}" for what, figures in told.items()]
    return "\n  ".join([f"{name}: {many:,} uploads in an hour", *lines])


def _minutes(when: datetime) -> int:
    return round((when - START) / timedelta(minutes=1))


def _shown(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    main()
