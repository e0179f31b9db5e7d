"""Where the right answer is known: which field is compared with which column of a manifest.

The column is withheld from the request, or the answers would say nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.domain.front_matter import FrontMatter, shown
from shared.domain.manifest_row import Columns
from shared.domain.recipe_error import RecipeError

MOST_LABELS: Final = 500
"""Ours: a table of more rows and columns is none to look at."""

LONGEST_TRUTH: Final = 200
"""Characters of a truth that are kept with its document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """`field` of the answers is compared with `column`; `labels` are what the field can be."""

    field: str
    column: str
    labels: tuple[str, ...]


def parse_truth(head: FrontMatter, fields: Mapping[str, Any]) -> Truth | None:
    """What `truth` says. Raises RecipeError."""
    given = head.get("truth")
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) != {"field", "column"}:
        raise head.error("truth", "takes a field and a column, as in {field: label, column: truth}")
    field, column = given["field"], given["column"]
    for key, value in given.items():
        if not isinstance(value, str) or not value.strip():
            raise RecipeError(f"{head.place('truth', key)}: truth.{key}: {shown(value)} is no name")
    if column == "id":
        raise RecipeError(
            f"{head.place('truth', 'column')}: truth.column: id names the row; choose another"
        )
    if field not in fields:
        known = f"there are: {', '.join(fields)}" if fields else "add fields:"
        raise RecipeError(
            f"{head.place('truth', 'field')}: truth.field: {shown(field)} is no field; {known}"
        )
    labels = labels_of(fields[field])
    if not labels or len(labels) > MOST_LABELS:
        raise RecipeError(
            f"{head.place('truth', 'field')}: truth.field: {field} needs a list of labels, at most "
            f"{MOST_LABELS}: enum: [a, b], anyOf of const, or type: boolean"
        )
    return Truth(field=field, column=column, labels=labels)


def labels_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """What a field can be, if its schema lists that; else nothing."""
    if "anyOf" in schema:
        parts = [one for one in schema["anyOf"] if one != {"type": "null"}]
        found = [labels_of(one) for one in parts]
        return tuple(label for labels in found for label in labels) if all(found) else ()
    if "enum" in schema or "const" in schema:
        listed = schema["enum"] if "enum" in schema else [schema["const"]]
        return tuple(label_text(one) for one in listed if one is not None)
    return ("true", "false") if schema.get("type") == "boolean" else ()


def label_text(value: object) -> str:
    """A label as a table has it: truths from a CSV are text, whatever the field is."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value).strip()


def truth_in(columns: Mapping[str, object], truth: Truth | None) -> str | None:
    """What a row says is right; None where it doesn't, or nobody asks."""
    text = "" if truth is None else label_text(columns.get(truth.column))[:LONGEST_TRUTH]
    return text or None


def withheld(columns: Columns, truth: Truth | None) -> Columns:
    """The columns that a request may be made of."""
    if truth is None or truth.column not in columns:
        return columns
    return {name: value for name, value in columns.items() if name != truth.column}
