"""`docmill retry` and `cancel` on a stack, whose functions go on meanwhile."""

import time
from collections.abc import Callable
from contextlib import suppress

import click

from handlers.cli.agreeing import Consent, agreed, exposure
from handlers.cli.process import on_leaving
from handlers.cli.session import LEFT_OPEN
from handlers.cli.stack.opened import only_job, opened
from handlers.cli.stack.redrive import waiting as waiting_messages
from handlers.cli.stack.transfer import tell
from handlers.cli.wording import counted, priced
from shared.adapters.builtin import catalog
from shared.app.control import (
    Canceling,
    Wanted,
    cancel_beside,
    let_wait,
    unpaid,
    worth_retrying,
    would_wait,
)
from shared.app.deps import Deps, NoRecipe
from shared.app.digest_notes import as_seen_by
from shared.app.load import waiting
from shared.app.report_places import put_in_place
from shared.domain.ids import JobName
from shared.domain.names import escaped

_BETWEEN_S = 5.0
"""Poll looks every minute; an index is behind its rows for less than this."""

_CLEAN_ROUNDS = 2
"""Rounds in a row that find nothing open, before that is believed: an index may hide what came."""


def retry(stack: str, *, job: str | None, final: bool, given: Consent, as_json: bool) -> int:
    """Let failed documents wait again; the stack submits them when it looks at groups next."""
    with opened(stack) as found:
        name = only_job(found, job)
        deps = as_seen_by(found.deps(), name)
        _, kept = put_in_place(deps, name)
        wanted = (worth_retrying(final=final, kept=kept), unpaid(deps, name))
        if not _agreed(deps, name, wanted, given, as_json=as_json):
            tell(
                "nothing was changed",
                event="declined",
                facts={"stack": stack, "job": name},
                as_json=as_json,
            )
            return LEFT_OPEN
        on_leaving("the stack submits what waits again, and the same command goes on with the rest")
        count = let_wait(deps, name, *wanted)
        failed = next(deps.store.failed(name), None) is not None
    tell(
        f"{counted(count, 'failed document')} of {name} to be tried again"
        + (": they are submitted when the stack looks at groups next" if count else ""),
        event="requeued",
        facts={"stack": stack, "job": name, "documents": count},
        as_json=as_json,
    )
    if count:
        return LEFT_OPEN
    return 1 if failed else 0


def _agreed(
    deps: Deps, job: JobName, wanted: tuple[Wanted, ...], given: Consent, *, as_json: bool
) -> bool:
    """Say what it may cost, with what waits already, and ask as a laptop's commands do."""
    most = None
    with suppress(NoRecipe):  # retry lets them wait until there is one; then `max_cost` holds
        recipe = deps.recipe(job)
        found = waiting(deps, job, recipe, also=would_wait(deps, job, *wanted))
        if not found.load.documents:
            return True
        guess = found.estimate(recipe, catalog())
        nearest = catalog().nearest(recipe.model)
        text = priced(guess, recipe, simulated=False, so_far=False, nearest=nearest)
        click.echo(escaped(text), err=as_json)
        most = exposure(guess, recipe)
    return agreed(most, given)


def cancel(
    stack: str,
    *,
    job: str | None,
    wait: bool,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Cancel until nothing of the job is open, or without `wait` what can be canceled now."""
    with opened(stack) as found:
        name = only_job(found, job)
        deps = found.deps()
        on_leaving(
            "what is canceled or asked to stop stays so, but what comes back to wait is submitted "
            "again; the same command goes on from here"
        )
        waited = asked = clean = 0
        told: Canceling | None = None
        while True:
            done = cancel_beside(deps, name)
            waited += done.waited
            asked += done.asked
            clean = 0 if done.waited or done.open else clean + 1
            if clean >= _CLEAN_ROUNDS or (not wait and not done.waited and not done.asked):
                break
            if done != told and not as_json:
                told = done
                click.echo(
                    f"{counted(waited, 'waiting document')} canceled; "
                    f"{counted(done.open, 'batch')} not at the end yet"
                )
            sleep(_BETWEEN_S if wait else min(_BETWEEN_S, 1.0))
        failed = next(deps.store.failed(name), None) is not None
        coming = waiting_messages(found, found.outputs.upload_queue)
    tell(
        f"{name}: {counted(waited, 'document')} canceled before they were submitted, "
        f"{counted(asked, 'batch')} asked to stop"
        + (
            f"; {counted(done.open, 'batch')} still open: run it again, without --no-wait, to see "
            "them end"
            if done.open
            else ""
        )
        + (f"; {counted(coming, 'upload')} of any job not taken in yet" if coming else ""),
        event="canceled",
        facts={
            "stack": stack,
            "job": name,
            "documents": waited,
            "batches": asked,
            "open_batches": done.open,
            "uploads_waiting": coming,
        },
        as_json=as_json,
    )
    if done.open:
        return LEFT_OPEN
    return 1 if failed else 0
