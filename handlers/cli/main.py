"""The commands. What others script against: names, options, output and exit status."""

import math
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

import click

from handlers.cli import commands
from handlers.cli import recipes as recipe_commands
from handlers.cli.agreeing import consent
from handlers.cli.faults import Fault
from handlers.cli.process import OutputLost, end, forget_output, leave, prepare
from handlers.cli.sampling import MOST as MOST_SAMPLED
from handlers.cli.session import LEFT_OPEN
from handlers.cli.stack import commands as stack_commands
from handlers.cli.status import status as show_status


class _Seconds(click.FloatRange):
    """A number of seconds; click's own range lets `nan` through."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return number


class _Dollars(click.ParamType[Decimal]):
    """An amount from 0."""

    name = "dollars"

    def convert(
        self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        try:
            dollars = Decimal(str(value).removeprefix("$"))
        except InvalidOperation:
            dollars = Decimal(-1)
        if not dollars.is_finite() or dollars < 0:
            self.fail(f"{value!r} is no amount of US dollars, from 0.", param, ctx)
        return dollars


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="docmill")
def cli() -> None:
    """Turn folders of documents into reports, at the price of Anthropic's Message Batches."""


_OUT = click.argument("out", required=False, type=click.Path(path_type=Path))
_STACK = click.option("--stack", metavar="NAME", help="A stack on AWS, instead of OUT.")
_JOB = click.option("--job", metavar="JOB", help="The job of the stack.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
_YES = click.option("--yes", is_flag=True, help="Don't ask before money is spent.")
_ASK_ABOVE = click.option(
    "--ask-above",
    type=_Dollars(),
    metavar="USD",
    help="Ask before what may cost more than this.  [default: DOCMILL_ASK_ABOVE, or 1]",
)
_RECIPE = click.option("--recipe", metavar="NAME|FILE", help="What to do with each document.")
_MODEL = click.option("--model", help="Another model than the recipe's.")
_GROUP_BY = click.option(
    "--group-by", metavar="folder|none|date|COLUMN", help="What batches are cut along."
)
_OFFLINE = click.option(
    "--offline", is_flag=True, help="Guess tokens by bytes, instead of asking the API to count."
)
_POLL_INTERVAL = click.option(
    "--poll-interval",
    type=_Seconds(min=0.01, max=3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look at batches; sooner at first.",
)
_SIMULATE = click.option(
    "--simulate", is_flag=True, help="Use the bundled simulator: placeholders, no cost."
)
_NO_WAIT = click.option("--no-wait", is_flag=True, help="Submit, and leave before the end.")


@cli.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Where reports and state go."
)
@_RECIPE
@_MODEL
@_GROUP_BY
@_POLL_INTERVAL
@click.option(
    "--max-attempts",
    type=click.IntRange(1, 10),
    metavar="N",
    help="How often to try a document that the provider failed.  [default: the recipe's, or 3]",
)
@click.option(
    "--max-cost",
    metavar="USD|none",
    help="What the job may cost, ever; what may exceed it is held. Holds for later runs, until "
    "another or none.  [default: the recipe's]",
)
@click.option(
    "--sample",
    type=click.IntRange(1, MOST_SAMPLED),
    metavar="N",
    help="Only N documents, of all kinds and sizes, and what they say of the rest.",
)
@_NO_WAIT
@click.option("--dry-run", is_flag=True, help="Say what `estimate` says, and do nothing.")
@click.option("--offline", is_flag=True, help="With --dry-run: don't ask the API to count tokens.")
@_SIMULATE
@_YES
@_ASK_ABOVE
@_JSON
def run(  # noqa: PLR0917 - click passes them by name
    inputs: tuple[str, ...],
    out: Path,
    recipe: str | None,
    model: str | None,
    group_by: str | None,
    poll_interval: float,
    max_attempts: int | None,
    max_cost: str | None,
    sample: int | None,
    no_wait: bool,
    dry_run: bool,
    offline: bool,
    simulate: bool,
    yes: bool,
    ask_above: Decimal | None,
    as_json: bool,
) -> int:
    """Make a report of every document in INPUT: folders, files, or a manifest.

    Run the same command again to resume, and to take up what is new or changed.
    """
    if offline and not dry_run:
        raise click.UsageError("--offline is for --dry-run: a run asks nobody to count")
    if dry_run and sample is not None:
        raise click.UsageError("--sample sends and --dry-run doesn't; say one of them")
    if dry_run:
        from handlers.cli.estimating import foretell  # noqa: PLC0415 - for this command

        return foretell(
            inputs,
            out,
            recipe=recipe,
            model=model,
            group_by=group_by,
            offline="--offline" if offline else "--simulate" if simulate else "",
            as_json=as_json,
        )
    return commands.run(
        inputs,
        out,
        recipe=recipe,
        model=model,
        group_by=group_by,
        poll_interval=poll_interval,
        max_attempts=max_attempts,
        max_cost=max_cost,
        sample=sample,
        wait=not no_wait,
        simulate=simulate,
        given=consent(yes=yes, ask_above=ask_above),
        as_json=as_json,
    )


@cli.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Where the comparison goes."
)
@click.option(
    "--recipe", "recipes", multiple=True, metavar="NAME|FILE", help="One to compare; say it twice."
)
@click.option("--model", "models", multiple=True, help="A model to compare; say it twice.")
@click.option(
    "--sample",
    type=click.IntRange(1, MOST_SAMPLED),
    default=10,
    show_default=True,
    metavar="N",
    help="How many documents, of all kinds and sizes.",
)
@_POLL_INTERVAL
@_SIMULATE
@_YES
@_ASK_ABOVE
@_JSON
def compare(  # noqa: PLR0917 - click passes them by name
    inputs: tuple[str, ...],
    out: Path,
    recipes: tuple[str, ...],
    models: tuple[str, ...],
    sample: int,
    poll_interval: float,
    simulate: bool,
    yes: bool,
    ask_above: Decimal | None,
    as_json: bool,
) -> int:
    """Try recipes, or models, on the same few documents of INPUT, side by side.

    Each has its own folder in OUT; compare.html there shows their reports beside each other. The
    same command again pays only for what is new.
    """
    from handlers.cli.comparing import compare as perform  # noqa: PLC0415 - for this command

    return perform(
        inputs,
        out,
        recipes=recipes,
        models=models,
        sample=sample,
        poll_interval=poll_interval,
        simulate=simulate,
        given=consent(yes=yes, ask_above=ask_above),
        as_json=as_json,
    )


def _home(out: Path | None, stack: str | None, job: str | None) -> Path | str:
    """Which of the two homes is meant: an output's folder, or a stack by its name."""
    if stack is not None and out is None:
        return stack
    if stack is not None:
        raise click.UsageError("name OUT or --stack, not both")
    if job is not None:
        raise click.UsageError("--job is for --stack: an output has one job")
    if out is None:
        raise click.UsageError("Missing argument 'OUT', or --stack NAME.")
    return out


@cli.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Count what this output doesn't have yet."
)
@_RECIPE
@_MODEL
@_GROUP_BY
@_OFFLINE
@_JSON
def estimate(  # noqa: PLR0917 - click passes them by name
    inputs: tuple[str, ...],
    out: Path | None,
    recipe: str | None,
    model: str | None,
    group_by: str | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Say what `run` would do and cost, with each model; nothing is submitted, nothing changed.

    The API counts the tokens of a few documents, which is free; with --offline, or without a key,
    nothing is sent.
    """
    from handlers.cli.estimating import foretell  # noqa: PLC0415 - for this command

    return foretell(
        inputs,
        out,
        recipe=recipe,
        model=model,
        group_by=group_by,
        offline="--offline" if offline else "",
        as_json=as_json,
    )


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--recipe", required=True, metavar="NAME|FILE", help="What to make of the reports.")
@_MODEL
@click.option("--whole", is_flag=True, help="One digest of all reports, not one for each folder.")
@_POLL_INTERVAL
@click.option("--max-cost", metavar="USD|none", help="What the digests may cost, ever.")
@_NO_WAIT
@_SIMULATE
@_YES
@_ASK_ABOVE
@_JSON
def digest(  # noqa: PLR0917 - click passes them by name
    out: Path,
    recipe: str,
    model: str | None,
    whole: bool,
    poll_interval: float,
    max_cost: str | None,
    no_wait: bool,
    simulate: bool,
    yes: bool,
    ask_above: Decimal | None,
    as_json: bool,
) -> int:
    """Make a digest of the reports in OUT, one for each folder: FOLDER/_digest.md.

    Run the same command again to resume; what is the same is not paid for again.
    """
    from handlers.cli.digest import digest as make  # noqa: PLC0415 - for this command

    return make(
        out,
        recipe=recipe,
        model=model,
        whole=whole,
        poll_interval=poll_interval,
        max_cost=max_cost,
        wait=not no_wait,
        simulate=simulate,
        given=consent(yes=yes, ask_above=ask_above),
        as_json=as_json,
    )


@cli.command()
@_OUT
@_STACK
@_JOB
@_JSON
def status(out: Path | None, stack: str | None, job: str | None, as_json: bool) -> int:
    """Show where the job in OUT, or those of a stack, stand."""
    home = _home(out, stack, job)
    if isinstance(home, str):
        return stack_commands.status(home, job=job, as_json=as_json)
    return show_status(home, as_json=as_json)


@cli.command()
@_OUT
@_STACK
@_JOB
@click.option("--all", "final", is_flag=True, help="Also what can't be expected to succeed.")
@_NO_WAIT
@_YES
@_ASK_ABOVE
@_JSON
def retry(  # noqa: PLR0917 - click passes them by name
    out: Path | None,
    stack: str | None,
    job: str | None,
    final: bool,
    no_wait: bool,
    yes: bool,
    ask_above: Decimal | None,
    as_json: bool,
) -> int:
    """Try the failed documents in OUT, or of a stack, again."""
    home = _home(out, stack, job)
    given = consent(yes=yes, ask_above=ask_above)
    if isinstance(home, str):
        return stack_commands.retry(home, job=job, final=final, given=given, as_json=as_json)
    return commands.retry(home, final=final, wait=not no_wait, given=given, as_json=as_json)


@cli.command()
@_OUT
@_STACK
@_JOB
@click.option("--no-wait", is_flag=True, help="Ask for it, and leave before batches have ended.")
@_JSON
def cancel(
    out: Path | None, stack: str | None, job: str | None, no_wait: bool, as_json: bool
) -> int:
    """Cancel the batches of OUT, or of a stack; what was finished before is collected."""
    home = _home(out, stack, job)
    if isinstance(home, str):
        return stack_commands.cancel(home, job=job, wait=not no_wait, as_json=as_json)
    return commands.cancel(home, wait=not no_wait, as_json=as_json)


@cli.group(invoke_without_command=True)
@click.pass_context
def recipes(context: click.Context) -> None:
    """List, show, begin and check recipes."""
    if context.invoked_subcommand is None:
        context.invoke(list_recipes)


@recipes.command("list")
def list_recipes() -> None:
    """List the built-in recipes."""
    for line in recipe_commands.lines():
        click.echo(line)


@recipes.command("show")
@click.argument("name")
def show_recipe(name: str) -> None:
    """Show one recipe, whole: copy it to a file to make your own."""
    click.echo(recipe_commands.text_of(name), nl=False)


@recipes.command("new")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "like", metavar="NAME", help="Begin with a built-in recipe.")
def new_recipe(file: Path, like: str | None) -> int:
    """Write a recipe to FILE to be edited."""
    return recipe_commands.new(file, like=like)


@recipes.command("check")
@click.argument("recipe", metavar="NAME|FILE")
@click.argument("document", required=False, type=click.Path(path_type=Path))
@_MODEL
@_JSON
def check_recipe(recipe: str, document: Path | None, model: str | None, as_json: bool) -> int:
    """Look a recipe over; with DOCUMENT, show the request that would be sent for it."""
    return recipe_commands.check(recipe, document, model=model, as_json=as_json)


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8377, show_default=True)
@click.option("--state", type=click.Path(path_type=Path), help="Keep batches here over restarts.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--duration",
    type=_Seconds(min=0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a batch takes.",
)
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def simulate(
    port: int, state: Path | None, seed: int, duration: float, until_stdin_closes: bool
) -> None:
    """Serve a simulated Message Batches API on 127.0.0.1.

    Point ANTHROPIC_BASE_URL at the address it prints. GET and POST /_simulator/faults shows and
    sets what goes wrong, as JSON ({"error_rate": 0.1}); POST /_simulator/clock lets time pass
    ({"advance_s": 3600}).
    """
    commands.simulate(
        port=port, state=state, seed=seed, duration=duration, until_stdin_closes=until_stdin_closes
    )


for each in stack_commands.COMMANDS:
    cli.add_command(each)


def main() -> None:
    """Run a command and leave with its exit status."""
    try:
        status_code = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        if isinstance(error, OutputLost):
            forget_output()
        Fault(error.format_message()).show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        leave()
    except SystemExit:
        sys.exit(LEFT_OPEN)  # click's way to say that nobody reads standard output any more
    sys.exit(status_code if isinstance(status_code, int) else 0)


def entry() -> NoReturn:
    """What the installed command runs: `main`, in a process of its own."""
    prepare()
    status = 1
    try:
        main()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0
    end(status, unread=LEFT_OPEN)


__all__ = ["Fault", "cli", "entry", "main"]

if __name__ == "__main__":
    entry()
