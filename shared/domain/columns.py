"""The columns that fields make: what type each has in a table, and each value as its column has it.

A value of an earlier recipe that doesn't fit the column of today is left empty.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final

MOST_INTEGER: Final = 2**63 - 1


class Kind(StrEnum):
    """What a column holds; JSON stands for what has no type of its own there, as text."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    TIME = "date-time"
    LIST = "list"
    OBJECT = "object"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `item` is what a list holds, `inner` what an object does."""

    name: str
    kind: Kind
    item: "Column | None" = None
    inner: tuple["Column", ...] = ()


class NoValue(ValueError):
    """A value that can't be in such a column."""


def column(name: str, schema: Mapping[str, Any]) -> Column:
    """The column of a field. What may be null may be empty, as any column may."""
    variants = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if variants:
        kinds = {column(name, one) for one in variants}
        return _common(name, kinds)
    if "enum" in schema or "const" in schema:
        labels = schema.get("enum", [schema.get("const")])
        kinds = {Column(name=name, kind=_kind_of(one)) for one in labels if one is not None}
        return _common(name, kinds)
    types = schema["type"]
    named = [one for one in ([types] if isinstance(types, str) else types) if one != "null"]
    return _common(name, {_of_type(name, one, schema) for one in named})


def _common(name: str, found: set[Column]) -> Column:
    if len(found) == 1:
        return found.pop()
    numbers = {one.kind for one in found} <= {Kind.INTEGER, Kind.NUMBER}
    return Column(name=name, kind=Kind.NUMBER if numbers else Kind.JSON)


def _kind_of(label: object) -> Kind:
    match label:
        case bool():
            return Kind.JSON
        case int():
            return Kind.INTEGER
        case float():
            return Kind.NUMBER
        case _:
            return Kind.TEXT


def _of_type(name: str, type_: str, schema: Mapping[str, Any]) -> Column:
    match type_:
        case "array":
            item = column("item", schema["items"])
            return Column(name=name, kind=Kind.LIST, item=item)
        case "object":
            inner = tuple(column(key, one) for key, one in schema["properties"].items())
            return Column(name=name, kind=Kind.OBJECT, inner=inner)
        case "string":
            kinds = {"date": Kind.DATE, "date-time": Kind.TIME}
            return Column(name=name, kind=kinds.get(schema.get("format", ""), Kind.TEXT))
        case _:
            return Column(name=name, kind=Kind(type_))


def value_in(column: Column, value: Any) -> Any:
    """The value as its column has it, in the types of JSON; a moment is in UTC. Raises NoValue."""
    return None if value is None else _VALUES[column.kind](column, value)


def _integer(_: Column, value: Any) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or abs(whole) > MOST_INTEGER:
        raise NoValue("is not a whole number of 64 bits")
    return whole


def _number(_: Column, value: Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NoValue("is not a number")
        return float(value)
    except OverflowError:
        raise NoValue("is beyond what a number of 64 bits can be") from None


def _exactly(kind: type) -> Callable[[Column, Any], Any]:
    def checked(column: Column, value: Any) -> Any:
        if not isinstance(value, kind):
            raise NoValue(f"is not {column.kind}")
        return value

    return checked


def _date(_: Column, value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise NoValue("is no date of the calendar from the year 1 to 9999") from None


def _moment(_: Column, value: Any) -> str:
    try:
        moment = datetime.fromisoformat(value.upper())
        in_utc = moment.astimezone(UTC).isoformat()
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise NoValue("is no moment of the years 1 to 9999, to the second") from None
    if moment.tzinfo is None:
        raise NoValue("says no time zone")
    return in_utc


def _list(column: Column, value: Any) -> list[Any]:
    if not isinstance(value, list) or column.item is None:
        raise NoValue("is not a list")
    return [value_in(column.item, one) for one in value]


def _object(column: Column, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoValue("is not an object")
    return {one.name: value_in(one, value.get(one.name)) for one in column.inner}


def _json(_: Column, value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_VALUES: Final[Mapping[Kind, Callable[[Column, Any], Any]]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _exactly(bool),
    Kind.TEXT: _exactly(str),
    Kind.DATE: _date,
    Kind.TIME: _moment,
    Kind.LIST: _list,
    Kind.OBJECT: _object,
    Kind.JSON: _json,
}


def fitting(columns: Iterable[Column], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row by column, as `value_in` gives them; None where there is no fitting."""
    return {one.name: _fitting(one, fields.get(one.name)) for one in columns}


def _fitting(column: Column, value: Any) -> Any:
    try:
        return value_in(column, value)
    except NoValue:
        return None
