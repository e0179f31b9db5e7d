"""What an output's state remembers of the runs that went on there: what they were asked for.

It is remembered once a run goes on, and not before its price was agreed to.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from handlers.cli.faults import Fault
from handlers.cli.options import Options, parse, recipe_in
from handlers.cli.provider import PROVIDER, provider_text
from handlers.cli.wording import money
from shared.adapters.builtin import builtin_recipes
from shared.app.groups import change_job
from shared.domain.recipe import amount
from shared.ports.store import Store
from shared.wiring.laptop import JOB
from shared.wiring.settings import Settings

_OPTIONS = "options"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command goes by, and what the person should know about where that comes from."""

    options: Options
    notes: tuple[str, ...] = ()


def last_run(store: Store) -> Options | None:
    """What the last run that went on here was asked for."""
    job = store.job(JOB)
    if job is None or _OPTIONS not in job.settings:
        return None
    found = json.loads(job.settings[_OPTIONS])
    found["inputs"] = tuple(found["inputs"])
    return Options(**found)


def remember(store: Store, options: Options, settings: Settings) -> None:
    """Save what a run was asked for, and of whom, now that it goes on."""
    fields = {name: getattr(options, name) for name in Options.__dataclass_fields__}
    kept = {_OPTIONS: json.dumps(fields)}
    if not options.simulate:
        kept[PROVIDER] = provider_text(settings)
    change_job(
        store,
        JOB,
        lambda job: msgspec.structs.replace(job, settings={**job.settings, **kept}),
    )


def remembered(store: Store) -> Asked:
    """What the last run was asked for, as it was. Raises Fault where none went on."""
    options = last_run(store)
    if options is None:
        raise Fault("nothing was run here yet; start with `docmill run INPUT --out OUT`")
    return Asked(options=options)


def reloaded(store: Store) -> Asked:
    """The same with its recipe as that reads by now: it may have been mended since.

    Raises Fault where no run went on, or the recipe can't be read.
    """
    options = remembered(store).options
    if options.recipe_file is None:
        text = builtin_recipes().get(options.recipe_name, options.recipe_text)
        return Asked(options=replace(options, recipe_text=text))
    found = recipe_in(Path(options.recipe_file))
    if found is None:
        note = f"the recipe {options.recipe_file} is gone; it is used as it was last read"
        return Asked(options=options, notes=(note,))
    return Asked(options=replace(options, recipe_text=found))


def with_limit(store: Store, options: Options, *, lifted: bool) -> Asked:
    """What a run is asked for, with the limit that an earlier one set, unless that is `lifted`.

    A limit is of all that the job may cost, ever: leaving it out of a later command doesn't end it.
    Raises Fault where it can't be kept.
    """
    last = last_run(store)
    kept = last.max_cost if last else None
    if lifted or options.max_cost is not None or kept is None:
        return Asked(options=options)
    limited = replace(options, max_cost=kept)
    note = (
        f"--max-cost {money(amount(kept), digits=2)} of an earlier run still holds; "
        "lift it with --max-cost none"
    )
    try:
        parse(limited)
    except Fault as fault:
        raise Fault(f"{fault.message}; {note}") from None
    return Asked(options=limited, notes=(note,))


def check_provider(store: Store, options: Options) -> None:
    """Raise Fault when the batches of this output are the simulator's and the next ones would not
    be, or the other way round."""
    last = last_run(store)
    if last is None or last.simulate == options.simulate:
        return
    if next(iter(store.batches(JOB)), None) is None:
        return
    was, now = ("simulated", "real") if last.simulate else ("real", "simulated")
    raise Fault(f"this output holds {was} reports and can't take {now} ones; use another --out")
