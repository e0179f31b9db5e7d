"""`python -m tests.world`: simulate as many worlds as asked, or tell the story of one."""

import sys
import time

import click

from tests.world.on_aws import run_seeds_on_aws
from tests.world.runner import Result, run_on_all_cores, run_seeds, told
from tests.world.table import table


@click.command()
@click.option("--seeds", default=10_000, show_default=True, help="How many worlds.")
@click.option("--first", default=0, show_default=True, help="The first one's seed.")
@click.option("--seed", type=int, help="Tell the story of this one.")
@click.option("--aws", is_flag=True, help="On moto's DynamoDB and S3: slow, so ask for few.")
def main(seeds: int, first: int, seed: int | None, *, aws: bool) -> None:
    """Exit with 1 when a rule was broken."""
    if seed is not None:
        story, result = told(seed)
        click.echo(story)
    else:
        result, begun = Result(), time.monotonic()
        run = run_seeds_on_aws if aws else run_seeds
        for part in run_on_all_cores(range(first, first + seeds), run):
            result.add(part)
            for broken, rule, facts in part.broken:
                click.echo(f"seed {broken}: {rule}: {facts}", err=True)
        click.echo(table(result, time.monotonic() - begun))
    sys.exit(bool(result.broken))


if __name__ == "__main__":
    main()
