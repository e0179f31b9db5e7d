"""`python -m tests.cost`: what a million documents cost on AWS, counted and priced."""

import json

import click

from tests.cost.bill import assumed, counted, measured_cpu_ms
from tests.cost.table import rendered, write


@click.command()
@click.option("--documents", default=400, show_default=True, help="Of the larger loads; to 500.")
@click.option("--write", "into_readme", is_flag=True, help="Put the tables into infra/README.md.")
def main(documents: int, *, into_readme: bool) -> None:
    """Run three loads through the real functions on moto, and price them."""
    loads = counted(documents)
    text = rendered(loads)
    click.echo(text)
    for name, used in loads.many.by_function.items():
        click.echo(f"{name}, {documents:,} documents: {json.dumps(used.units)}")
    cpu = {name: round(ms, 1) for name, ms in measured_cpu_ms(loads).items()}
    click.echo(f"CPU per document here, ms: {json.dumps(cpu)}")
    click.echo(f"taken to be there, ms:     {json.dumps(assumed()['cpu_ms'])}")
    if into_readme:
        write(text)


if __name__ == "__main__":
    main()
