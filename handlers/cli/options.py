"""What a command was asked for: its options, its recipe, the environment; each checked whole."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from handlers.cli.faults import Fault
from shared.adapters.builtin import builtin_recipes, catalog
from shared.domain.job import Job
from shared.domain.recipe import Recipe, RecipeError, amount, check_max_cost, parse_recipe
from shared.ports.store import Store
from shared.wiring.guard import template_guard
from shared.wiring.laptop import JOB
from shared.wiring.settings import InvalidSettings, Settings

DEFAULT_RECIPE = "project-analysis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run was asked for; remembered in the state, so that `retry` needs no arguments."""

    inputs: tuple[str, ...] = ()
    recipe_name: str = ""
    recipe_text: str = ""
    model: str | None = None
    group_by: str | None = None
    poll_interval: float = 60.0
    max_attempts: int | None = None
    max_cost: str | None = None
    simulate: bool = False


def load_recipe(name: str | None, beside: Path | None, options: Options) -> Options:
    """Find the recipe's text: a file, a built-in's name, or the one beside the documents."""
    builtin = builtin_recipes()
    if name is None and beside is not None:
        name = str(beside)
    name = name or DEFAULT_RECIPE
    if name in builtin:
        return replace(options, recipe_name=name, recipe_text=builtin[name])
    path = Path(name)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        known = ", ".join(sorted(builtin))
        raise Fault(
            f"no recipe {name}: neither a file nor a built-in ({known}); see `docmill recipes`"
        ) from None
    except UnicodeDecodeError as error:
        raise Fault(f"the recipe {name} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise Fault(f"the recipe {name} can't be read: {error.strerror}") from None
    return replace(options, recipe_name=path.name, recipe_text=text)


def parse(options: Options) -> Recipe:
    """The recipe with the command's own choices on top. Raises Fault."""
    try:
        recipe = parse_recipe(
            options.recipe_text,
            name=options.recipe_name,
            catalog=catalog(),
            model_override=options.model,
            guard=template_guard(),
        )
        if options.max_cost is not None:
            recipe = replace(recipe, max_cost=amount(options.max_cost))
            check_max_cost(recipe, catalog())
    except RecipeError as error:
        raise Fault(f"{error}{_how_to_change(options.recipe_name)}") from None
    return replace(recipe, group_by=options.group_by) if options.group_by else recipe


def _how_to_change(name: str) -> str:
    """A built-in recipe is not the user's to edit."""
    if name not in builtin_recipes():
        return ""
    return (
        f"; to change this built-in recipe: `docmill recipes show {name} > mine.md`, edit it, and "
        "use `--recipe mine.md`"
    )


def remembered(store: Store) -> Options:
    """What the last run on this output was asked for. Raises Fault when there was none."""
    job = store.job(JOB)
    if job is None or "options" not in job.settings:
        raise Fault("nothing was run here yet; start with `docmill run INPUT --out OUT`")
    found = json.loads(job.settings["options"])
    found["inputs"] = tuple(found["inputs"])
    return Options(**found)


def is_simulated(store: Store) -> bool:
    """Whether the reports here are the simulator's."""
    job = store.job(JOB)
    if job is None or "options" not in job.settings:
        return False
    return bool(json.loads(job.settings["options"])["simulate"])


def remember(store: Store, options: Options) -> None:
    """Save what was asked for. Raises Fault when the output belongs to another provider."""
    job = store.job(JOB) or Job(name=JOB, settings={})
    if next(store.all_documents(JOB), None) is not None and is_simulated(store) != options.simulate:
        was, now = ("simulated", "real") if not options.simulate else ("real", "simulated")
        raise Fault(f"this output holds {was} reports and can't take {now} ones; use another --out")
    fields = {name: getattr(options, name) for name in Options.__dataclass_fields__}
    store.swap_job(msgspec.structs.replace(job, settings={"options": json.dumps(fields)}))


def settings_for(*, simulate: bool) -> Settings:
    """What the environment says; of the provider only where it is called. Raises Fault."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not (simulate and name.startswith("ANTHROPIC_"))
    }
    try:
        settings = Settings.from_env(env)
    except InvalidSettings as error:
        raise Fault(str(error)) from None
    if not simulate and not settings.api_key:
        raise Fault(
            "ANTHROPIC_API_KEY is not set; set it, or try docmill without cost with --simulate"
        )
    return settings
