"""`python -m tests.faults`: the kills and the day at full size, with a table of each."""

import json
import resource
import subprocess
import sys

import click

from tests.faults.day import Day
from tests.faults.day_account import check
from tests.faults.day_account import table as table_of_day
from tests.faults.kills import run_campaign
from tests.faults.kills import table as table_of_kills
from tests.faults.scratch import scratch

_GROUPS = 50
_SMALLER = 4
_BYTES_PER_DOCUMENT = 400
"""What may stay of a document in the memory of the whole day, whose numbers and published files
are held too; a request alone is 2,000 bytes."""

_LONGEST_S = 3_600


@click.group()
def main() -> None:
    """Real faults, as many as asked for."""


@main.command()
@click.option("--kills", default=100, show_default=True, help="How many, in a row, on one job.")
@click.option("--seed", default=1, show_default=True)
@click.option("--troubled", is_flag=True, help="With answers lost, streams cut, and SIGTERM.")
def kills(kills: int, seed: int, troubled: bool) -> None:
    """Kill the real process again and again."""
    with scratch() as folder:
        click.echo(table_of_kills(run_campaign(folder, kills, seed=seed, troubled=troubled)))


@main.command()
@click.option("--documents", default=100_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def day(documents: int, seed: int) -> None:
    """A day in fast motion, at this size and at a quarter of it, to compare their memory."""
    sizes = (documents // _SMALLER, documents)
    grown = [_in_a_process(size, seed) for size in sizes]
    per_document = (grown[1] - grown[0]) / (sizes[1] - sizes[0])
    for size, more in zip(sizes, grown, strict=True):
        click.echo(f"memory for {size:,} documents: {more / (1 << 20):.1f} MiB above the imports")
    click.echo(f"that is {per_document:.0f} bytes for each document more")
    if per_document > _BYTES_PER_DOCUMENT:
        click.echo(f"more than {_BYTES_PER_DOCUMENT}: something is held for each", err=True)
        sys.exit(1)


@main.command(name="one-day", hidden=True)
@click.argument("documents", type=int)
@click.argument("seed", type=int)
def one_day(documents: int, seed: int) -> None:
    """A day in this process; the last line is how many bytes it grew by."""
    before = _peak()
    with scratch() as folder:
        lived = Day(documents=documents, groups=_GROUPS, folder=folder, seed=seed)
        lived.run()
        grown = _peak() - before
        click.echo(table_of_day(lived))
        check(lived)
        lived.store.close()
    click.echo(json.dumps({"grown": grown}))


def _in_a_process(documents: int, seed: int) -> int:
    words = [sys.executable, "-m", "tests.faults", "one-day", str(documents), str(seed)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, timeout=_LONGEST_S)
    *told, last = done.stdout.splitlines() or [""]
    click.echo("\n".join([*told, ""]))
    if done.returncode:
        sys.exit(done.returncode)
    grown: int = json.loads(last)["grown"]
    return grown


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
