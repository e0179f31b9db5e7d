"""What a command was asked for: its options, its recipe, the environment; each checked whole."""

import os
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from handlers.cli.faults import Fault
from shared.adapters.builtin import builtin_recipes, catalog
from shared.domain.recipe import Recipe, RecipeError, amount, check_max_cost, parse_recipe
from shared.wiring.guard import template_guard
from shared.wiring.settings import MOST_LOOKS, InvalidSettings, Settings

DEFAULT_RECIPE = "project-analysis"
NO_LIMIT = "none"
"""What `--max-cost` says to lift the limit that an earlier run set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run was asked for; remembered in the state, so that `retry` needs no arguments.

    `recipe_file` is the absolute path of the recipe, None for a built-in one.
    """

    inputs: tuple[str, ...] = ()
    recipe_name: str = ""
    recipe_file: str | None = None
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
    text = recipe_in(path)
    if text is None:
        known = ", ".join(sorted(builtin))
        raise Fault(
            f"no recipe {name}: neither a file nor a built-in ({known}); see `docmill recipes`"
        )
    return replace(
        options, recipe_name=path.name, recipe_file=str(path.absolute()), recipe_text=text
    )


def recipe_in(path: Path) -> str | None:
    """The text of a recipe's file; None where there is no file. Raises Fault."""
    try:
        return path.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise Fault(f"the recipe {path} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise Fault(f"the recipe {path} can't be read: {error.strerror}") from None


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
            recipe = replace(recipe, max_cost=_limit(options.max_cost))
            check_max_cost(recipe, catalog())
    except RecipeError as error:
        raise Fault(f"{error}{_how_to_change(options)}") from None
    return replace(recipe, group_by=options.group_by) if options.group_by else recipe


def _limit(text: str) -> Decimal:
    """What `--max-cost` says. Raises Fault."""
    try:
        return amount(text)
    except RecipeError as error:
        raise Fault(
            f"--max-cost: {error}; it must be above 0, and `--max-cost {NO_LIMIT}` lifts the limit"
        ) from None


def _how_to_change(options: Options) -> str:
    """A built-in recipe is not the user's to edit."""
    name = options.recipe_name
    if options.recipe_file is not None or name not in builtin_recipes():
        return ""
    return (
        f"; to change this built-in recipe: `docmill recipes show {name} > mine.md`, edit it, and "
        "use `--recipe mine.md`"
    )


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
    if simulate:  # the simulator sets no limit
        settings = replace(settings, looks_per_minute=MOST_LOOKS)
    return settings
