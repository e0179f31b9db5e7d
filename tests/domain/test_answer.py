import json
from typing import Any

import pytest

from shared.domain.answer import Answers, InvalidAnswer, UnusableSchema
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.field_schema import field_schema

FIELDS = {
    "score": {"type": "integer", "minimum": 0, "maximum": 100},
    "risk": ["low", "medium", "high"],
    "signed": {"type": ["string", "null"], "format": "date"},
    "found": {
        "type": "array",
        "items": {"type": "object", "properties": {"line": {"type": "integer", "minimum": 1}}},
    },
    "at": "date-time",
    "ratio": "number",
}
GOOD = {
    "score": 5,
    "risk": "low",
    "signed": None,
    "found": [{"line": 3}],
    "at": "2026-01-02T03:04:05Z",
    "ratio": 0.5,
}


def answers(output: Output = Output.JSON) -> Answers:
    fields = {name: field_schema(schema, name) for name, schema in FIELDS.items()}
    return Answers(AnswerForm(output=output, fields=fields))


def test_an_answer_that_fits_is_taken_as_it_is() -> None:
    answer = answers().read(json.dumps(GOOD))
    assert (answer.fields, answer.text) == (GOOD, None)


def test_fields_come_in_the_order_of_the_recipe() -> None:
    shuffled = dict(reversed(GOOD.items()))
    assert list(answers().read(json.dumps(shuffled)).fields) == list(FIELDS)


def test_a_whole_number_is_one_however_it_is_written() -> None:
    answer = answers().read(json.dumps(GOOD | {"score": 5.0, "found": [{"line": 2.0}]}))
    assert repr(answer.fields["score"]) == "5"
    assert repr(answer.fields["found"]) == "[{'line': 2}]"


def test_beside_a_report_the_text_is_apart_from_the_fields() -> None:
    answer = answers(Output.MARKDOWN).read(json.dumps({"report": "# R", **GOOD}))
    assert (answer.fields, answer.text) == (GOOD, "# R")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 101}, "score: it is greater than the maximum of 100"),
        ({"score": "5"}, 'score: it is not of type "integer"'),
        ({"score": True}, "score: "),
        ({"risk": "none"}, 'risk: it is not one of "low", "medium" or "high"'),
        ({"signed": "2026-13-01"}, 'signed: it is not a "date"'),
        ({"signed": "0000-01-01"}, "signed: is no date of the calendar"),
        ({"found": [{"line": 1}, {"line": 0}]}, r"found\[1\].line: it is less than the minimum"),
        ({"found": [{"line": 2**63}]}, "found: is not a whole number of 64 bits"),
        ({"at": "2026-12-31T23:59:60Z"}, "at: is no moment"),
        ({"at": "2026-01-01T00:00:00"}, "at: "),
        ({"more": 1}, "the answer: it has properties that were not asked for"),
        ({"ratio": 10**400}, "ratio: is beyond"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidAnswer, match=message) as caught:
        answers().read(json.dumps(GOOD | change))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        *("", "Here it is:", "```json\n{}\n```", '{"score": 5', '{"score": 1e999}', '"\\ud800"'),
        *("NaN", "[" * 100_000, "\x00", '{"score": 5} {"score": 5}', "[]", "null"),
    ],
)
def test_what_is_no_answer_at_all_is_invalid(text: str) -> None:
    with pytest.raises(InvalidAnswer):
        answers().read(text)


def test_a_missing_field_is_named() -> None:
    less = {name: value for name, value in GOOD.items() if name != "risk"}
    with pytest.raises(InvalidAnswer, match='the answer: "risk" is a required property'):
        answers().read(json.dumps(less))


def test_an_empty_report_is_invalid() -> None:
    with pytest.raises(InvalidAnswer, match="report: is empty"):
        answers(Output.TEXT).read(json.dumps({"report": " \n", **GOOD}))


@pytest.mark.parametrize(
    "change",
    [
        {"risk": "secret"},
        {"score": "secret"},
        {"signed": "secret"},
        {"found": "secret"},
        {"found": [{"line": "secret"}]},
        {"found": [{"secret": 1}]},
        {"at": "secret"},
        {"secret": "secret"},
    ],
)
def test_nothing_of_the_answer_gets_into_a_message_that_is_logged(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        answers().read(json.dumps(GOOD | change))
    assert "secret" not in caught.value.message
    with pytest.raises(InvalidAnswer) as caught:
        answers().read(json.dumps(GOOD)[:-1] + " secret}")
    assert "secret" not in caught.value.message


def test_a_pattern_takes_linear_time() -> None:
    schema = field_schema({"type": "string", "pattern": "^(a+)+$"}, "a")
    reading = Answers(AnswerForm(output=Output.JSON, fields={"a": schema}))
    with pytest.raises(InvalidAnswer):
        reading.read(json.dumps({"a": "a" * 100_000 + "!"}))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "(?=a)"},
        {"type": "string", "pattern": "("},
        {"type": "string", "enum": [1]},
        {"type": "integer", "maximum": 3, "const": 4},
        {"type": "array", "items": {"type": "string", "maxLength": 1, "enum": ["ab"]}},
    ],
)
def test_a_schema_that_nothing_can_fit_or_be_checked_against_is_refused(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(UnusableSchema):
        Answers.check_field(schema)
