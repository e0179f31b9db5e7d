"""`python -m tests.world`: simulate as many worlds as asked, or tell the story of one."""

import sys
import time

import click

from tests.world.runner import Result, run_on_all_cores, told
from tests.world.table import table


@click.command()
@click.option("--seeds", default=10_000, show_default=True, help="How many worlds.")
@click.option("--first", default=0, show_default=True, help="The first one's seed.")
@click.option("--seed", type=int, help="Tell the story of this one.")
def main(seeds: int, first: int, seed: int | None) -> None:
    """Exit with 1 when a rule was broken."""
    if seed is not None:
        story, result = told(seed)
        click.echo(story)
    else:
        result, begun = Result(), time.monotonic()
        for part in run_on_all_cores(range(first, first + seeds)):
            result.add(part)
            for broken, rule, facts in part.broken:
                click.echo(f"seed {broken}: {rule}: {facts}", err=True)
        click.echo(table(result, time.monotonic() - begun))
    sys.exit(bool(result.broken))


if __name__ == "__main__":
    main()
