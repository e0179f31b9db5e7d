"""What each command does, from checked options to an exit status."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

import click

from handlers.cli.faults import Fault
from handlers.cli.inputs import check_documents, check_inputs, sightings
from handlers.cli.memory import (
    Asked,
    check_provider,
    reloaded,
    remember,
    remembered,
    with_limit,
)
from handlers.cli.options import NO_LIMIT, Options, load_recipe, parse, settings_for
from handlers.cli.process import RESUME, OutputLost, on_leaving
from handlers.cli.session import LEFT_OPEN, Session, existing_output, finish, session
from handlers.cli.wording import NOTE, priced
from shared.adapters.builtin import catalog
from shared.app.control import (
    Wanted,
    fail_waiting,
    forget_unsent,
    let_wait,
    unpaid,
    worth_retrying,
    would_wait,
)
from shared.app.control import cancel as cancel_job
from shared.app.drive import drive
from shared.app.gone import forget_gone
from shared.app.intake import take_in
from shared.app.load import waiting
from shared.app.publish import publish
from shared.app.report_places import put_in_place
from shared.domain.names import escaped
from shared.ports.store import Store
from shared.wiring.laptop import JOB


def run(
    inputs: tuple[str, ...],
    out: Path,
    *,
    recipe: str | None,
    model: str | None,
    group_by: str | None,
    poll_interval: float,
    max_attempts: int | None,
    max_cost: str | None,
    wait: bool,
    simulate: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """`docmill run`."""
    found = check_inputs(inputs, out)
    lifted = max_cost is not None and max_cost.strip().lower() == NO_LIMIT
    options = load_recipe(
        recipe,
        found.recipe if recipe is None else None,
        Options(
            inputs=tuple(str(Path(text).resolve()) for text in inputs),
            model=model,
            group_by=group_by,
            poll_interval=poll_interval,
            max_attempts=max_attempts,
            max_cost=None if lifted else max_cost,
            simulate=simulate,
        ),
    )
    parse(options)
    settings_for(simulate=simulate)
    _check_out(out)

    def asked(store: Store) -> Asked:
        check_provider(store, options)
        return with_limit(store, options, lifted=lifted)

    async def take_and_drive(work: Session) -> int:
        check_documents(work.deps.documents, found, work.recipe)
        forget_gone(work.deps, JOB)
        _put_in_place(work)
        came = work.deps.clock()
        taken = take_in(
            work.deps, JOB, sightings(work.deps.documents, found, work.recipe), ready=True
        )
        work.deps.emit(
            "taken_in",
            new=taken.new,
            changed=taken.changed,
            unchanged=taken.unchanged,
            unusable=taken.unusable,
        )
        summary = work.summary()
        if not summary.total:
            raise Fault(f"no documents in {', '.join(inputs)}")
        if others := summary.made_otherwise(work.recipe.fingerprint):
            work.deps.emit("reports_of_another_recipe", reports=others)
        again = (unpaid(work.deps, JOB),)
        if not _agreed(work, again, yes=yes):
            return _declined(work, came=came)
        remember(work.deps.store, work.options, work.settings)
        let_wait(work.deps, JOB, *again)
        return await _go_on(work, wait=wait)

    return _perform(out, as_json=as_json, asked=asked, work=take_and_drive)


def retry(out: Path, *, final: bool, wait: bool, yes: bool, as_json: bool) -> int:
    """`docmill retry`."""
    existing_output(out)

    async def again(work: Session) -> int:
        kept = _put_in_place(work)
        again = (worth_retrying(final=final, kept=kept), unpaid(work.deps, JOB))
        if not _agreed(work, again, yes=yes):
            return _declined(work)
        remember(work.deps.store, work.options, work.settings)
        work.deps.emit("requeued", documents=let_wait(work.deps, JOB, *again))
        return await _go_on(work, wait=wait)

    return _perform(out, as_json=as_json, asked=reloaded, work=again)


def cancel(out: Path, *, wait: bool, as_json: bool) -> int:
    """`docmill cancel`."""
    existing_output(out)

    async def stop(work: Session) -> int:
        asked = await cancel_job(work.deps, JOB)
        work.deps.emit("cancel_asked", batches=asked)
        await drive(work.deps, sleep=asyncio.sleep, submitting=False, waiting=wait)
        fail_waiting(work.deps, JOB)
        return finish(work)

    return _perform(out, as_json=as_json, asked=remembered, work=stop)


def _perform(
    out: Path,
    *,
    as_json: bool,
    asked: Callable[[Store], Asked],
    work: Callable[[Session], Awaitable[int]],
) -> int:
    """Do `work`, which answers with the exit status, on the output."""
    on_leaving(RESUME)
    try:
        with session(
            out, as_json=as_json, asked=asked, begin=lambda found: _announce(found, as_json)
        ) as run:
            return run(work)
    except OutputLost as error:
        raise OutputLost(f"{error.message}; {RESUME}") from None
    except BrokenPipeError:
        Fault(f"nobody reads standard output any more; {RESUME}").show()
        raise


def _put_in_place(work: Session) -> frozenset[str]:
    """Reports that could not be written when they came; says for which something is in the way."""
    written, kept = put_in_place(work.deps, JOB)
    if written:
        work.deps.emit("kept_reports_written", reports=written)
    return kept


def _announce(found: Asked, as_json: bool) -> None:
    notes = list(found.notes)
    if found.options.simulate:
        notes.insert(
            0, "using the bundled simulator: every report is a placeholder and costs nothing"
        )
    for note in notes:
        click.echo(f"docmill: {escaped(note)}", err=as_json)


async def _go_on(work: Session, *, wait: bool) -> int:
    await drive(work.deps, sleep=asyncio.sleep, waiting=wait)
    return finish(work)


def _declined(work: Session, *, came: datetime | None = None) -> int:
    """After a no, what came since `came` is forgotten; what waits waits, what failed has failed."""
    if came is not None:
        forget_unsent(work.deps, JOB, since=came)
    publish(work.deps, JOB)
    work.deps.emit("declined")
    return LEFT_OPEN


def _agreed(work: Session, again: Sequence[Wanted], *, yes: bool) -> bool:
    """Say what it will cost, and where somebody can answer, ask.

    What is to be tried `again` is counted in and stays failed until then: a no changes nothing.
    """
    found = waiting(work.deps, JOB, work.recipe, also=would_wait(work.deps, JOB, *again))
    if not found.load.documents:
        return True
    mean = work.summary().totals.report_tokens
    guess = found.estimate(work.recipe, catalog(), report_tokens=mean)
    simulated = work.options.simulate
    text = priced(
        guess,
        work.recipe,
        simulated=simulated,
        so_far=mean is not None,
        nearest=catalog().nearest(work.recipe.model),
    )
    work.deps.emit(NOTE, message=text)
    work.deps.emit(
        "estimated",
        recipe=work.recipe.name,
        model=work.recipe.model,
        documents=guess.documents,
        requests=guess.requests,
        input_tokens=guess.input_tokens,
        report_tokens=guess.report_tokens,
        max_tokens=work.recipe.max_tokens,
        likely_usd=guess.likely,
        at_most_usd=guess.at_most,
        max_cost_usd=work.recipe.max_cost,
    )
    if yes or simulated or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    with work.display.paused():
        return click.confirm("Go on?", default=False, err=True)


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise Fault(f"--out {out} is a file; name a folder")


def simulate(
    *, port: int, state: Path | None, seed: int, duration: float, until_stdin_closes: bool
) -> None:
    """`docmill simulate`."""
    from shared.adapters.simulator.server import main_serve  # noqa: PLC0415 - for this command
    from shared.adapters.simulator.state import StateError  # noqa: PLC0415

    try:
        main_serve(
            port=port,
            state_dir=state,
            seed=seed,
            duration_s=duration,
            until_stdin_closes=until_stdin_closes,
            announce=click.echo,
        )
    except StateError as error:
        raise Fault(str(error)) from None
    except OSError as error:
        what = f"--state {state}" if error.filename else f"port {port} on 127.0.0.1"
        raise Fault(f"{what} can't be used: {error.strerror}") from None
