import json
from typing import Any

import pytest
from anthropic import transform_schema
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.simulator.structured import answer_text, format_fault
from shared.domain.answer import Answers
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.field_schema import field_schema
from shared.domain.sent_schema import counts, sent

ONE_TYPE: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 1, "maximum": 10, "description": "A number"},
    {"type": "string", "format": "date"},
    {"type": "string", "minLength": 3, "pattern": "^a"},
    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
    {"type": "array", "items": {"type": "number", "multipleOf": 0.5}, "minItems": 2},
    {"enum": ["low", "high"], "description": "How bad"},
    {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
    {
        "type": "object",
        "title": "Finding",
        "properties": {"line": {"type": "integer", "minimum": 1}, "why": {"type": "string"}},
    },
]


@pytest.mark.parametrize("schema", ONE_TYPE, ids=lambda schema: json.dumps(schema)[:40])
def test_a_schema_is_sent_as_the_sdk_would_send_it(schema: dict[str, Any]) -> None:
    whole = field_schema(schema, "field")
    assert sent(whole) == transform_schema(whole)


def test_types_in_a_list_become_variants_each_with_what_is_said_of_it() -> None:
    whole = field_schema(
        {"type": ["string", "null"], "maxLength": 3, "description": "A code"}, "field"
    )
    assert sent(whole) == {
        "anyOf": [{"type": "string", "description": "{maxLength: 3}"}, {"type": "null"}],
        "description": "A code",
    }


def test_unions_and_what_may_be_missing_are_counted_all_the_way_down() -> None:
    whole = field_schema(
        {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"a": {"type": ["string", "null"]}, "b": "text", "c": "text"},
                "required": ["a"],
            },
        },
        "field",
    )
    assert counts(sent(whole)) == (1, 2)


_LEAVES = st.sampled_from(
    [
        *("string", "integer", "number", "boolean", "date", "date-time", "uuid", "uri"),
        {"type": "integer", "minimum": -5, "maximum": 5},
        {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 4},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "string", "minLength": 5, "maxLength": 9, "description": "A {thing}"},
        {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}(x|yy)?$"},
        ["low", "high"],
        [1, 2, None],
        {"type": ["string", "null"]},
    ]
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least},
            inner,
            st.integers(0, 3),
        ),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
            lambda properties: {"type": "object", "properties": properties}
        ),
    ),
    max_leaves=6,
)


@given(fields=st.dictionaries(st.sampled_from("xyz"), _SCHEMAS, min_size=1), prompt=st.text())
def test_the_simulator_takes_what_is_sent_and_its_answers_fit(
    fields: dict[str, Any], prompt: str
) -> None:
    whole = {name: field_schema(schema, name) for name, schema in fields.items()}
    form = AnswerForm(output=Output.MARKDOWN, fields=whole)
    assert format_fault({"output_config": {"format": form.sent_format}}) is None
    text = answer_text(form.sent_format["schema"], prompt=prompt, report="# Report", invalid=False)
    assert Answers(form).read(text).text == "# Report"
