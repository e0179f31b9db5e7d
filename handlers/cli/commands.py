"""What each command does, from checked options to an exit status."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from handlers.cli.agreeing import Consent
from handlers.cli.asking import agreed_on
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
from handlers.cli.sampling import (
    STILL_OPEN,
    Sample,
    among,
    choose,
    is_open,
    learn,
    limited,
    say,
    tell_of,
)
from handlers.cli.session import LEFT_OPEN, Session, existing_output, finish, session
from handlers.cli.wording import NOTE
from shared.app.control import cancel as cancel_job
from shared.app.control import (
    fail_waiting,
    forget_unsent,
    let_wait,
    unpaid,
    worth_retrying,
)
from shared.app.drive import drive
from shared.app.gone import forget_gone, forget_misfits
from shared.app.intake import take_in
from shared.app.publish import publish
from shared.app.report_places import put_in_place
from shared.domain.names import escaped
from shared.ports.store import Store
from shared.wiring.laptop import JOB

SIMULATED = "using the bundled simulator: every report is a placeholder and costs nothing"


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
    sample: int | None = None,
    wait: bool,
    simulate: bool,
    given: Consent,
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
    check_out(out)

    def asked(store: Store) -> Asked:
        check_provider(store, options)
        return with_limit(store, options, lifted=lifted)

    async def take_and_drive(work: Session) -> int:
        check_documents(work.deps.documents, found, work.recipe)
        forget_gone(work.deps, JOB)
        forget_misfits(work.deps, JOB, waiting=True)
        _put_in_place(work)
        came = work.deps.clock()
        seen = sightings(
            work.deps.documents,
            found,
            work.recipe,
            tell=lambda said: _tell_left_out(work, said),
        )
        taken = take_in(work.deps, JOB, seen, ready=True)
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
        undo = partial(_undo, work, came=came)
        again = unpaid(work.deps, JOB)
        chosen = None
        sent = work
        if sample is not None:
            chosen = choose(work.deps.documents, found, work.recipe, sample)
            work.deps.emit("sampled", documents=len(chosen.paths), of=chosen.documents)
            sent, again = limited(work, chosen), among(chosen, again)
        if not agreed_on(sent, (again,), given, undo):
            return _declined(work, undo)
        remember(work.deps.store, work.options, work.settings)
        let_wait(work.deps, JOB, again)
        if chosen is None:
            return await _go_on(work, wait=wait)
        return await _sampled(work, sent, chosen, wait=wait)

    return perform(out, as_json=as_json, asked=asked, work=take_and_drive)


def retry(out: Path, *, final: bool, wait: bool, given: Consent, as_json: bool) -> int:
    """`docmill retry`."""
    existing_output(out)

    async def again(work: Session) -> int:
        kept = _put_in_place(work)
        again = (worth_retrying(final=final, kept=kept), unpaid(work.deps, JOB))
        undo = partial(_undo, work)
        if not agreed_on(work, again, given, undo):
            return _declined(work, undo)
        remember(work.deps.store, work.options, work.settings)
        work.deps.emit("requeued", documents=let_wait(work.deps, JOB, *again))
        return await _go_on(work, wait=wait)

    return perform(out, as_json=as_json, asked=reloaded, work=again)


def cancel(out: Path, *, wait: bool, as_json: bool) -> int:
    """`docmill cancel`."""
    existing_output(out)

    async def stop(work: Session) -> int:
        asked = await cancel_job(work.deps, JOB)
        work.deps.emit("cancel_asked", batches=asked)
        await drive(work.deps, sleep=asyncio.sleep, submitting=False, waiting=wait)
        fail_waiting(work.deps, JOB)
        return finish(work)

    return perform(out, as_json=as_json, asked=remembered, work=stop)


def perform(
    out: Path,
    *,
    as_json: bool,
    asked: Callable[[Store], Asked],
    work: Callable[[Session], Awaitable[int]],
    announced: bool = True,
) -> int:
    """Do `work`, which answers with the exit status, on the output; what is to be known of the
    options is said before, if that is to be `announced`."""
    on_leaving(RESUME)
    try:
        with session(
            out,
            as_json=as_json,
            asked=asked,
            begin=lambda found: _announce(found, as_json) if announced else None,
        ) as run:
            return run(work)
    except OutputLost as error:
        raise OutputLost(f"{error.message}; {RESUME}") from None
    except BrokenPipeError:
        Fault(f"nobody reads standard output any more; {RESUME}").show()
        raise


def _tell_left_out(work: Session, said: str) -> None:
    work.deps.emit(NOTE, message=said)
    work.deps.emit("files_left_out", message=said)


def _put_in_place(work: Session) -> frozenset[str]:
    """Reports that could not be written when they came; says for which something is in the way."""
    written, kept = put_in_place(work.deps, JOB)
    if written:
        work.deps.emit("kept_reports_written", reports=written)
    return kept


def _announce(found: Asked, as_json: bool) -> None:
    notes = list(found.notes)
    if found.options.simulate:
        notes.insert(0, SIMULATED)
    for note in notes:
        click.echo(f"docmill: {escaped(note)}", err=as_json)


async def _go_on(work: Session, *, wait: bool) -> int:
    await drive(work.deps, sleep=asyncio.sleep, waiting=wait)
    return finish(work)


async def _sampled(work: Session, sent: Session, chosen: Sample, *, wait: bool) -> int:
    """Bring only the sample to its end, and say what that tells of the rest."""
    await drive(sent.deps, sleep=asyncio.sleep, waiting=wait)
    if is_open(work, chosen):
        status = finish(work)
        work.display.tell(NOTE, {"message": STILL_OPEN})
        return status
    learned = await learn(work, chosen)
    tell_of(work, chosen, learned)
    status = finish(work)
    say(work, chosen, learned)
    return status


def _declined(work: Session, undo: Callable[[], None]) -> int:
    """After a no."""
    undo()
    work.deps.emit("declined")
    return LEFT_OPEN


def _undo(work: Session, *, came: datetime | None = None) -> None:
    """Forget what came since `came`; what waits waits, what failed has failed."""
    if came is not None:
        forget_unsent(work.deps, JOB, since=came)
    publish(work.deps, JOB)


def check_out(out: Path) -> None:
    """Raise Fault where the output's place is a file's."""
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
