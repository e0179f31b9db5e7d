"""Structured output: what the API refuses of a schema, and the answers it leads to."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from shared.adapters.simulator.fitting import Fitting

MOST_UNIONS: Final = 16
"""As the live API words it: `Schemas contains too many parameters with union types (23 …)`."""

_TAKEN: Final = frozenset(
    {
        *("type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "title", "description"),
        *("default", "properties", "required", "additionalProperties", "items", "minItems"),
        *("format", "pattern"),
    }
)


def schema_of(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema that an answer has to fit."""
    config = params.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None


def format_fault(params: Mapping[str, Any]) -> str | None:
    """What is wrong with `output_config.format`, in about the API's words."""
    config = params.get("output_config")
    if config is None:
        return None
    if not isinstance(config, dict):
        return "output_config: Input should be an object"
    form = config.get("format")
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        return "output_config.format.type: Input should be 'json_schema'"
    schema = form.get("schema")
    if not isinstance(schema, dict):
        return "output_config.format.schema: Field required"
    if (why := _schema_fault(schema)) is not None:
        return f"output_config.format.schema: {why}"
    if (unions := _unions(schema)) > MOST_UNIONS:
        return (
            f"Schemas contains too many parameters with union types ({unions} parameters with type "
            f"arrays or anyOf) which exceeds the limit: {MOST_UNIONS}"
        )
    return None


def _schema_fault(schema: Mapping[str, Any]) -> str | None:
    kind = schema.get("type")
    for key in schema:
        if key not in _TAKEN:
            return f"For '{kind}' type, property '{key}' is not supported"
    if kind == "array" and schema.get("minItems", 0) not in (0, 1):
        return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if kind == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    return next(filter(None, map(_schema_fault, _inner(schema))), None)


def _inner(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    if isinstance(schema.get("items"), dict):
        found.append(schema["items"])
    return [one for one in found if isinstance(one, dict)]


def _unions(schema: Mapping[str, Any]) -> int:
    union = "anyOf" in schema or isinstance(schema.get("type"), list)
    return union + sum(_unions(one) for one in _inner(schema))


def answer_text(schema: Mapping[str, Any], *, prompt: str, report: str, invalid: bool) -> str:
    """The JSON of an answer; one that is `invalid` is so in a way that the prompt decides."""
    made = Fitting(prompt, report).value(schema)
    if not invalid:
        return json.dumps(made, ensure_ascii=False)
    draw = hashlib.blake2b(prompt.encode(), digest_size=1).digest()[0]
    if draw % 3 == 0 or not isinstance(made, dict) or not made:
        text = json.dumps(made, ensure_ascii=False)
        return text[: len(text) // 2]
    last = list(made)[-1]
    if draw % 3 == 1:
        del made[last]
    else:
        made[last] = {"none": "of these"}
    return json.dumps(made, ensure_ascii=False)
