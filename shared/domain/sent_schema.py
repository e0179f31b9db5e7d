"""The schema as it is sent: structured output takes a part of JSON Schema, the rest goes in words.

As the SDK's own transform does (`anthropic/lib/_parse/_transform.py`): what the API doesn't take is
moved into the description, where the model may follow it. Answers are checked against the whole.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.domain.field_schema import APPLIES, FORMATS, NOTES

MOST_UNIONS: Final = 16
MOST_OPTIONAL: Final = 24
"""What the API takes in one request: fields of more than one type, and fields that may be missing
(`Schemas contains too many parameters with union types … limit: 16`)."""


def sent(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema for the request that says the same as a field's."""
    left = dict(schema)
    types = left.pop("type", None)
    made: dict[str, Any] = {}
    if "enum" in left or "const" in left:
        made |= {key: left.pop(key) for key in ("enum", "const") if key in left}
    elif "anyOf" in left:
        made["anyOf"] = [sent(one) for one in left.pop("anyOf")]
    elif isinstance(types, list):
        made["anyOf"] = [sent(_only(left, each)) for each in types]
        left = {key: value for key, value in left.items() if key in NOTES}
    else:
        made["type"] = types
        made |= _of_type(types, left)
    description = left.pop("description", None)
    if "title" in left:
        made["title"] = left.pop("title")
    rest = ", ".join(f"{key}: {value}" for key, value in left.items())
    words = "\n\n".join(part for part in (description, rest and f"{{{rest}}}") if part)
    return made | ({"description": words} if words else {})


def _only(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"type": name} | {
        key: value for key, value in schema.items() if name in APPLIES.get(key, ())
    }


def _of_type(name: str | None, left: dict[str, Any]) -> dict[str, Any]:
    """Take out of `left` what the API takes for a type."""
    match name:
        case "object":
            properties = left.pop("properties")
            left.pop("additionalProperties", None)
            return {
                "properties": {key: sent(value) for key, value in properties.items()},
                "required": left.pop("required"),
                "additionalProperties": False,
            }
        case "array":
            least = {"minItems": left.pop("minItems")} if left.get("minItems") in (0, 1) else {}
            return {"items": sent(left.pop("items")), **least}
        case "string" if left.get("format") in FORMATS:
            return {"format": left.pop("format")}
        case _:
            return {}


def counts(schema: Mapping[str, Any]) -> tuple[int, int]:
    """How many unions a sent schema has, and how many fields that may be missing."""
    inner = [
        *schema.get("anyOf", ()),
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    found = [counts(one) for one in inner]
    optional = len(schema.get("properties", {})) - len(schema.get("required", ()))
    return (
        sum(unions for unions, _ in found) + ("anyOf" in schema),
        sum(missing for _, missing in found) + optional,
    )
