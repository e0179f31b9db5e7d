"""What is compared: recipes and models, each with a folder of its own below the comparison's."""

from dataclasses import dataclass, replace
from pathlib import Path

from handlers.cli.faults import Fault
from handlers.cli.options import Options, load_recipe, parse
from shared.domain.names import slug
from shared.domain.recipe import Recipe

_MOST = 10
_NAME_CHARACTERS = 80
_DIGITS = 8
"""Of a recipe's fingerprint: who changes a recipe gets another folder, and pays for that only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to make the reports. `out` holds its reports and state."""

    name: str
    out: Path
    options: Options
    recipe: Recipe


def variants(
    recipes: tuple[str, ...],
    models: tuple[str, ...],
    beside: Path | None,
    out: Path,
    asked: Options,
) -> list[Variant]:
    """Every recipe with every model; without models each with its own. Raises Fault."""
    found: list[Variant] = []
    for recipe in recipes or (None,):
        for model in models or (None,):
            given = replace(asked, model=model)
            found.append(_variant(out, load_recipe(recipe, None if recipe else beside, given)))
    if len(found) < 2:
        raise Fault("name two recipes to compare (--recipe twice), or two models (--model twice)")
    if len(found) > _MOST:
        raise Fault(f"that makes {len(found)} variants; at most {_MOST} can be compared")
    for one in found:
        same = next(other for other in found if other.recipe.fingerprint == one.recipe.fingerprint)
        if same is not one:
            raise Fault(
                f"{same.recipe.name} and {one.recipe.name} ask the same of {one.recipe.model}; "
                "name two that differ"
            )
    return found


def _variant(out: Path, options: Options) -> Variant:
    recipe = parse(options)
    stem = options.recipe_name.removesuffix(".md")
    name = slug(f"{stem}-{recipe.model}", _NAME_CHARACTERS)
    folder = f"{name}-{recipe.fingerprint[:_DIGITS]}"
    return Variant(name=folder, out=out / folder, options=options, recipe=recipe)
