"""One field of an answer: a JSON Schema (draft 2020-12) of the kind that structured output takes.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs, and the SDK's own
transform of schemas. What is allowed here is listed, so that a keyword which would be passed over,
by the API or by the columns of a table, is an error before anything is paid.
"""

import difflib
from collections.abc import Mapping
from typing import Any, Final

from shared.domain.front_matter import shown

FORMATS: Final = (
    *("date", "date-time", "time", "duration", "email"),
    *("hostname", "uri", "ipv4", "ipv6", "uuid"),
)
"""The formats of texts that structured output knows."""

TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")
_NUMBERS: Final = frozenset({"integer", "number"})
_TEXTS: Final = frozenset({"string"})
_LISTS: Final = frozenset({"array"})
_OBJECTS: Final = frozenset({"object"})
APPLIES: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), _NUMBERS),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), _NUMBERS),
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format"), _TEXTS),
    **dict.fromkeys(("items", "minItems", "maxItems", "uniqueItems"), _LISTS),
    **dict.fromkeys(("properties", "required", "additionalProperties"), _OBJECTS),
}
"""Which types a keyword says something of."""

NOTES: Final = ("title", "description", "examples")
"""What is said to the model and checks nothing."""

_KINDS: Final = ("type", "enum", "const", "anyOf")
_KEYWORDS: Final = (*_KINDS, *NOTES, *APPLIES)
_INSTEAD: Final = {
    "oneOf": "use anyOf",
    "allOf": "write it out as one schema",
    "$ref": "write the schema out where it is used",
    "$defs": "write the schema out where it is used",
    "default": "every field is answered, so there is no default; remove it",
    "nullable": 'add null to the types: type: [string, "null"]',
}
_SHORT: Final = {
    "text": {"type": "string"},
    **{name: {"type": name} for name in ("string", "integer", "number", "boolean")},
    **{name: {"type": "string", "format": name} for name in FORMATS},
}
_LIMITS: Final = (
    ("minimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
)


class SchemaFault(Exception):
    """A schema that can't be used: `where` in it (keys joined by dots), and what to do."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(what)
        self.where = where
        self.what = what


def field_schema(written: object, where: str) -> dict[str, Any]:
    """The schema written whole: short forms are spelled out, objects are closed, and what an object
    holds is required unless `required` says otherwise. Raises SchemaFault.
    """
    match written:
        case str() if written in _SHORT:
            return dict(_SHORT[written])
        case str():
            raise SchemaFault(
                where, f"{shown(written)} is no type; there are: {', '.join(sorted(_SHORT))}"
            )
        case list():
            return _written_out({"enum": written}, where)
        case dict():
            return _written_out(written, where)
        case _:
            raise SchemaFault(
                where,
                f"{shown(written)} is no schema; write a type such as integer, a list of labels, "
                "or a JSON Schema such as {type: integer, minimum: 0}",
            )


def _written_out(written: Mapping[str, Any], where: str) -> dict[str, Any]:
    _check_keywords(written, where)
    schema = dict(written)
    if "type" in schema:
        schema["type"] = _types(schema["type"], where)
    if "enum" in schema:
        _check_labels(schema["enum"], f"{where}.enum")
    if isinstance(schema.get("const"), bool | list | dict):
        raise SchemaFault(f"{where}.const", "takes one text or number, in quotes where it is text")
    if "anyOf" in schema:
        return _any_of(schema, where)
    types = schema.get("type", ())
    types = (types,) if isinstance(types, str) else types
    for key in APPLIES.keys() & schema.keys():
        if APPLIES[key].isdisjoint(types):
            says = f"says nothing of type {types[0]}" if types else "needs a type beside it"
            raise SchemaFault(f"{where}.{key}", f"{says}; remove it")
    if "array" in types:
        schema["items"] = _items(schema, where)
    if "object" in types:
        schema |= _object(schema, where)
    _check_limits(schema, where)
    return schema


def _check_keywords(written: Mapping[str, Any], where: str) -> None:
    for key in written:
        if key not in _KEYWORDS:
            raise SchemaFault(f"{where}.{key}", _unknown(key))
    if not any(key in written for key in _KINDS):
        raise SchemaFault(where, "says no type; add type: string, say, or enum: [low, high]")


def _unknown(key: str) -> str:
    if key in _INSTEAD:
        return f"can't be used in a field; {_INSTEAD[key]}"
    near = difflib.get_close_matches(key, _KEYWORDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYWORDS)}"
    return f"is no keyword for a field; {hint}"


def _types(written: object, where: str) -> str | list[str]:
    """YAML reads `null` without quotes as nothing, which among types can mean only that."""
    listed = written if isinstance(written, list) else [written]
    names: list[str] = []
    for name in ("null" if each is None else each for each in listed):
        if not isinstance(name, str) or name not in TYPES:
            raise SchemaFault(
                f"{where}.type", f"{shown(name)} is no type; there are: {', '.join(TYPES)}"
            )
        names.append(name)
    if not names or len(set(names)) < len(names):
        raise SchemaFault(f"{where}.type", "names each type once")
    if names == ["null"]:
        raise SchemaFault(f"{where}.type", "only null leaves nothing to answer; add a type")
    return names if len(names) > 1 else names[0]


def _check_labels(labels: object, where: str) -> None:
    if not isinstance(labels, list) or not labels:
        raise SchemaFault(where, "takes a list of labels, such as [low, medium, high]")
    for label in labels:
        if isinstance(label, bool):
            raise SchemaFault(
                where,
                "YAML reads yes, no, on, off, true and false as true or false; put labels "
                "into quotes, or use type: boolean",
            )
        if isinstance(label, list | dict):
            raise SchemaFault(where, f"{shown(label)} is no label; labels are texts or numbers")
    if len({(type(label), label) for label in labels}) < len(labels):
        raise SchemaFault(where, "names each label once")
    if labels == [None]:
        raise SchemaFault(where, "only null leaves nothing to answer; add a label")


def _any_of(schema: dict[str, Any], where: str) -> dict[str, Any]:
    for key in schema:
        if key not in NOTES and key != "anyOf":
            raise SchemaFault(f"{where}.{key}", "goes into the schemas of anyOf, not beside it")
    variants = schema["anyOf"]
    if not isinstance(variants, list) or not variants:
        raise SchemaFault(f"{where}.anyOf", "takes a list of schemas")
    return schema | {
        "anyOf": [
            {"type": "null"}
            if one in (None, "null", {"type": "null"}, {"type": None})
            else field_schema(one, f"{where}.anyOf[{number}]")
            for number, one in enumerate(variants)
        ]
    }


def _items(schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "items" not in schema:
        raise SchemaFault(where, "a list without items; say what it holds: items: {type: string}")
    return field_schema(schema["items"], f"{where}.items")


def _object(schema: Mapping[str, Any], where: str) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise SchemaFault(
            where, "an object without properties; say what it holds: properties: {name: string}"
        )
    if schema.get("additionalProperties", False) is not False:
        raise SchemaFault(
            f"{where}.additionalProperties",
            "objects are closed, as structured output wants them; remove it",
        )
    known = {
        key: field_schema(value, f"{where}.properties.{key}") for key, value in properties.items()
    }
    required = schema.get("required", list(known))
    if not isinstance(required, list) or not all(name in known for name in required):
        raise SchemaFault(f"{where}.required", f"names some of: {', '.join(known)}")
    return {"properties": known, "required": required, "additionalProperties": False}


def _check_limits(schema: Mapping[str, Any], where: str) -> None:
    """An empty range would make every answer invalid, each of them paid for."""
    for least, most in _LIMITS:
        low, high = schema.get(least), schema.get(most)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            raise SchemaFault(f"{where}.{least}", f"{low} is above {most} {high}; nothing fits")
    if schema.get("format") is not None and schema["format"] not in FORMATS:
        raise SchemaFault(
            f"{where}.format",
            f"{shown(schema['format'])} is not known; there are: {', '.join(FORMATS)}",
        )
