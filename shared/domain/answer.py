"""Answers by a schema: read, and checked against all of it.

jsonschema-rs, as its regular expressions take linear time: a recipe's pattern and a model's text
together can't keep a process busy. It is imported where an answer is read, or a recipe with fields;
its 15 MB and 40 ms are of no use to others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.domain.answer_form import REPORT_FIELD, AnswerForm, Output
from shared.domain.columns import NoValue, column, value_in

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

LONGEST_REASON: Final = 300
"""Characters of why an answer is invalid: the labels of a field may be many."""

_UNASKED: Final = "it has properties that were not asked for"

_DECODE = msgspec.json.Decoder().decode


class InvalidAnswer(Exception):
    """An answer that isn't what was asked for; `message` is one line, with the place in it and
    nothing of the answer's own: it is logged."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnusableSchema(Exception):
    """A schema that nothing can be checked against: `where` in it, and why."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(what)
        self.where = where
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model answered: the fields, and the report's text where there is one beside them."""

    fields: dict[str, Any]
    text: str | None


class Answers:
    """Reads answers of one form; its schema is compiled once."""

    def __init__(self, form: AnswerForm) -> None:
        self._form = form
        self._validator = _compiled(form.schema, mask="it")
        self._columns = [column(name, schema) for name, schema in form.fields.items()]

    def read(self, text: str) -> Answer:
        """The answer in a message's text. Raises InvalidAnswer."""
        try:
            found = _DECODE(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise InvalidAnswer(f"the answer is not JSON: {_clipped(str(error))}") from None
        fault = next(iter(self._validator.iter_errors(found)), None)
        if fault is not None:
            unasked = fault.schema_path[-1:] == ["additionalProperties"]
            what = _UNASKED if unasked else fault.message
            raise InvalidAnswer(f"{_place(fault.instance_path)}: {_clipped(what)}")
        fields = {name: _exact(found[name], schema) for name, schema in self._form.fields.items()}
        for each in self._columns:
            try:
                value_in(each, fields[each.name])
            except NoValue as error:
                raise InvalidAnswer(f"{each.name}: {error}") from None
        if self._form.output is Output.JSON:
            return Answer(fields=fields, text=None)
        if not found[REPORT_FIELD].strip():
            raise InvalidAnswer(f"{REPORT_FIELD}: is empty")
        return Answer(fields=fields, text=found[REPORT_FIELD])

    @staticmethod
    def check_field(schema: Mapping[str, Any]) -> None:
        """Raise UnusableSchema for what no answer can be checked against, or can fit."""
        _compiled(schema)
        for where, inner in _inner(schema, ""):
            labels = inner.get("enum", [inner["const"]] if "const" in inner else [])
            rest = {key: inner[key] for key in inner if key not in ("enum", "const")}
            validator = _compiled(rest)
            for label in labels:
                fault = next(iter(validator.iter_errors(label)), None)
                if fault is not None:
                    raise UnusableSchema(where, f"no answer can be {label!r}: {fault.message}")


def _compiled(schema: Mapping[str, Any], *, mask: str | None = None) -> "Draft202012Validator":
    """With a `mask`, messages say that instead of the value in question."""
    import jsonschema_rs  # noqa: PLC0415 - only where there are fields

    try:
        return jsonschema_rs.Draft202012Validator(
            dict(schema),
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask=mask,
        )
    except jsonschema_rs.ValidationError as error:
        where = "".join(_step(step) for step in error.instance_path)
        raise UnusableSchema(where, _clipped(error.message)) from None


def _inner(schema: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield where, schema
    for name, one in schema.get("properties", {}).items():
        yield from _inner(one, f"{where}.properties.{name}")
    for number, one in enumerate(schema.get("anyOf", ())):
        yield from _inner(one, f"{where}.anyOf[{number}]")
    if "items" in schema:
        yield from _inner(schema["items"], f"{where}.items")


def _exact(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value as its type has it: JSON Schema takes 5.0 for an integer, and a column wants 5."""
    match value:
        case float() if value.is_integer() and "integer" in _types(schema):
            return int(value)
        case list() if "items" in schema:
            return [_exact(one, schema["items"]) for one in value]
        case dict() if "properties" in schema:
            known = schema["properties"]
            return {key: _exact(value[key], known[key]) for key in known if key in value}
        case _:
            return value


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    types = schema.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


def _place(path: list[str | int]) -> str:
    return "".join(_step(step) for step in path).removeprefix(".") or "the answer"


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"
