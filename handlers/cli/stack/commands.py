"""The commands of a stack, with their options; what they do is imported when they do it.

AWS's SDK takes a quarter of a second to import, which no other command pays.
"""

# ruff: noqa: PLC0415

from pathlib import Path

import click

from handlers.cli.agreeing import Consent

_STACK = click.option("--stack", required=True, metavar="NAME", help="The stack, by its name.")
_JOB = click.option("--job", metavar="JOB", help="The job, by its name.")
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
_GROUP = click.option("--group", metavar="GROUP", help="A folder below the job.")


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@_STACK
@click.option("--job", metavar="JOB", help="The job.  [default: project-analysis]")
@_GROUP
@click.option("--recipe", metavar="FILE", help="The job's recipe from now on.")
@click.option("--digest", metavar="FILE", help="The recipe of digests of its groups from now on.")
@click.option("--ready", is_flag=True, help="Submit the groups at once.")
@_JSON
def drop(  # noqa: PLR0917 - click passes them by name
    inputs: tuple[str, ...],
    stack: str,
    job: str | None,
    group: str | None,
    recipe: str | None,
    digest: str | None,
    ready: bool,
    as_json: bool,
) -> int:
    """Upload INPUT, folders and files, into a stack.

    Run the same command again to go on: what lies there already isn't uploaded again.
    """
    from handlers.cli.stack.drop import drop as perform

    return perform(
        inputs,
        stack=stack,
        job=job,
        group=group,
        recipe=recipe,
        digest=digest,
        ready=ready,
        as_json=as_json,
    )


@click.command()
@click.argument("source", metavar="s3://BUCKET/PREFIX")
@_STACK
@click.option("--job", required=True, metavar="JOB", help="The job, by its name.")
@_GROUP
@_JSON
def backfill(source: str, stack: str, job: str, group: str | None, as_json: bool) -> int:
    """Feed what lies in a bucket already into a stack.

    Run the same command again to go on where it was.
    """
    from handlers.cli.stack.backfill import backfill as perform

    return perform(source, stack=stack, job=job, group=group, as_json=as_json)


@click.command()
@_STACK
@_JSON
def redrive(stack: str, as_json: bool) -> int:
    """Move a stack's dead letters back to their queues."""
    from handlers.cli.stack.redrive import redrive as perform

    return perform(stack, as_json=as_json)


@click.group()
def reports() -> None:
    """List or fetch the reports of a stack."""


@reports.command("list")
@_STACK
@_JOB
@_JSON
def list_reports(stack: str, job: str | None, as_json: bool) -> int:
    """List the reports, a path each."""
    from handlers.cli.stack.fetch import list_reports as perform

    return perform(stack, job=job, as_json=as_json)


@reports.command()
@_STACK
@_JOB
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The folder to fetch into."
)
@_JSON
def fetch(stack: str, job: str | None, out: Path, as_json: bool) -> int:
    """Fetch reports, failures and summaries: what is missing in OUT, or another there."""
    from handlers.cli.stack.fetch import fetch as perform

    return perform(stack, job=job, out=out, as_json=as_json)


COMMANDS = (drop, backfill, redrive, reports)


def status(stack: str, *, job: str | None, as_json: bool) -> int:
    """`docmill status --stack`."""
    from handlers.cli.stack.status import status as perform

    return perform(stack, job=job, as_json=as_json)


def retry(stack: str, *, job: str | None, final: bool, given: Consent, as_json: bool) -> int:
    """`docmill retry --stack`."""
    from handlers.cli.stack.control import retry as perform

    return perform(stack, job=job, final=final, given=given, as_json=as_json)


def cancel(stack: str, *, job: str | None, wait: bool, as_json: bool) -> int:
    """`docmill cancel --stack`."""
    from handlers.cli.stack.control import cancel as perform

    return perform(stack, job=job, wait=wait, as_json=as_json)
