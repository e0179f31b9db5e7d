"""Variants: one document, and a request and a report for each value that its recipe names.

`each: {language: [de, fr]}` makes two documents of every file or row. A variant's path is its
document's and the value, so it has a report, a state and a price of its own.
"""

import re
from dataclasses import dataclass
from typing import Final

from shared.domain.front_matter import FrontMatter, shown
from shared.domain.recipe_error import RecipeError

MOST_VALUES: Final = 100
"""Ours: a slice of intake holds all variants of a document."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.ASCII)
_VALUE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_TAKEN: Final = frozenset(
    {"document", "columns", "fields", "loop", "range", "dict", "namespace", "self", "super"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """What a recipe makes of every document: `name` is a variable of its prompt, and takes each of
    the `values` in turn."""

    name: str
    values: tuple[str, ...]


def parse_each(head: FrontMatter) -> Each | None:
    """What `each` says. Raises RecipeError."""
    given = head.get("each")
    if given is None:
        return None
    if not isinstance(given, dict) or len(given) != 1:
        raise head.error("each", "takes one name and its values, as in each: {language: [de, fr]}")
    [(name, values)] = given.items()
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise _error(head, name, "is no name for a variable of the prompt; write one as language")
    if not isinstance(values, list) or not values:
        raise _error(head, name, "takes a list of values, as in [de, fr]")
    if len(values) > MOST_VALUES:
        raise _error(head, name, f"has {len(values)} values; {MOST_VALUES} are possible")
    seen: dict[str, str] = {}
    for value in values:
        if not isinstance(value, str):
            raise _error(head, name, f"{shown(value)} is not text; put it into quotes")
        if not _VALUE.fullmatch(value):
            raise _error(
                head,
                name,
                f"{shown(value)} can't end a report's name; use letters, digits, '-', '_' and '.'",
            )
        if before := seen.get(value.casefold()):
            raise _error(head, name, f"{value!r} and {before!r} would have one report; keep one")
        seen[value.casefold()] = value
    return Each(name=name, values=tuple(values))


def _error(head: FrontMatter, name: str, what: str) -> RecipeError:
    return RecipeError(f"{head.place('each', name)}: each.{name}: {what}")


def variant_path(path: str, value: str) -> str:
    """The path of a document's variant."""
    return f"{path}.{value}"


def plain_path(path: str, value: str | None) -> str:
    """The path of the document that a variant is of."""
    return path if value is None else path.removesuffix(f".{value}")
