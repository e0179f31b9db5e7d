"""The recipe's `output:` and `fields:`, checked whole before anything is spent."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shared.domain.answer import Answers, UnusableSchema
from shared.domain.answer_form import REPORT_FIELD, AnswerForm, Output
from shared.domain.field_schema import SchemaFault, field_schema
from shared.domain.front_matter import FrontMatter, shown
from shared.domain.recipe_error import RecipeError
from shared.domain.row import OWN_COLUMNS
from shared.domain.sent_schema import MOST_OPTIONAL, MOST_UNIONS, counts

KEYS: Final = ("output", "fields")

MOST_FIELDS: Final = 100
MOST_BYTES: Final = 16_000
"""Ours: the whole schema as JSON. It is kept with every batch, and the API's own limit for what it
compiles lies below."""

_COLUMN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
"""A name that SQL, pandas and spreadsheets take as it is; 63 characters are PostgreSQL's limit."""


def parse_form(head: FrontMatter, params: Mapping[str, Any]) -> AnswerForm:
    """What the head says of the answers. Raises RecipeError, with the line."""
    output = _output(head)
    fields = _fields(head, output)
    if not fields:
        if output is Output.JSON:
            raise head.error(
                "output",
                "json needs fields: to say what the answer holds; add, say, "
                "fields: {score: integer, risk: [low, medium, high]}",
            )
        return AnswerForm(output=output)
    config = params.get("output_config", {})
    if not isinstance(config, dict):
        raise RecipeError(
            f"{head.place('params', 'output_config')}: params.output_config: {shown(config)} is "
            "no mapping; indent 'key: value' lines below it"
        )
    if "format" in config:
        raise RecipeError(
            f"{head.place('params', 'output_config')}: params.output_config: its format is made "
            "from 'fields:'; remove one of the two"
        )
    form = AnswerForm(output=output, fields=fields)
    _check_whole(head, form)
    return form


def _output(head: FrontMatter) -> Output:
    value = head.get("output")
    if value is None:
        return Output.MARKDOWN
    if value not in tuple(Output):
        raise head.error("output", f"{shown(value)} is none of: {', '.join(Output)}")
    return Output(value)


def _fields(head: FrontMatter, output: Output) -> dict[str, Any]:
    written = head.get("fields")
    if written is None:
        return {}
    if not isinstance(written, dict) or not written:
        raise head.error(
            "fields", "is no mapping; indent lines such as 'score: integer' below it, one per field"
        )
    if len(written) > MOST_FIELDS:
        raise head.error("fields", f"are {len(written)}; at most {MOST_FIELDS} are allowed")
    fields: dict[str, Any] = {}
    seen: dict[str, str] = {}
    for name, schema in written.items():
        place = f"{head.place('fields', name)}: fields.{name}"
        if (why := _name_fault(name, output)) is not None:
            raise RecipeError(f"{head.place('fields', name)}: fields: {why}")
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise RecipeError(
                f"{place}: differs from {other} in capitals only, which SQL doesn't see; rename it"
            )
        try:
            fields[name] = field_schema(schema, f"fields.{name}")
            Answers.check_field(fields[name])
        except SchemaFault as fault:
            raise RecipeError(
                f"{head.place('fields', name)}: {fault.where}: {fault.what}"
            ) from None
        except UnusableSchema as fault:
            raise RecipeError(f"{place}{fault.where}: {fault.what}; correct it") from None
    return fields


def _name_fault(name: str, output: Output) -> str | None:
    if not _COLUMN.fullmatch(name):
        return (
            f"{shown(name)} makes no good column; use letters, digits and _, a letter first, "
            "at most 63 of them"
        )
    if name.lower() in OWN_COLUMNS:
        return f"{name!r} is a column of docmill's own; rename it, to {name}_found, say"
    if name.lower() == REPORT_FIELD and output is not Output.JSON:
        return f"{name!r} is what the report's text comes in; rename it"
    return None


def _check_whole(head: FrontMatter, form: AnswerForm) -> None:
    unions, optional = counts(form.sent_format["schema"])
    size = len(msgspec.json.encode(form.schema))
    for found, most, what in (
        (unions, MOST_UNIONS, "places with more than one type (null is one)"),
        (optional, MOST_OPTIONAL, "properties that may be missing"),
        (size, MOST_BYTES, "bytes as a JSON Schema"),
    ):
        if found > most:
            raise head.error(
                "fields", f"have {found:,} {what}; the most is {most:,}; simplify them"
            )
