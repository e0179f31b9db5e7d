"""Structured output as the simulator gives it: what it refuses, answers, and gets wrong."""

import json
from typing import Any

import pytest

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Faults
from shared.domain.answer import Answers, InvalidAnswer
from shared.domain.answer_form import AnswerForm, Output
from tests.adapters.simulator.core_client import CoreClient, row

FIELDS = {
    "risk": {"enum": ["low", "medium", "high"]},
    "score": {"type": "integer", "minimum": 0, "maximum": 10},
}
FORM = AnswerForm(output=Output.MARKDOWN, fields=FIELDS)


def results(
    config: Any, count: int = 30, faults: Faults | None = None
) -> dict[str, dict[str, Any]]:
    settings = SimulatorSettings(duration_s=100)
    simulator = Simulator(seed=1, settings=settings, faults=faults or Faults())
    one = CoreClient(simulator=simulator)
    asked = [
        row(
            f"r{number}",
            output_config=config,
            messages=[{"role": "user", "content": f"Document {number}\n## Risks\n"}],
        )
        for number in range(count)
    ]
    batch = one.create(asked)
    dumped = simulator.dump(batch)
    assert dumped is not None
    simulator.load(dumped)
    one.later(101)
    return one.results(batch)


def texts(found: dict[str, dict[str, Any]]) -> list[str]:
    return [result["message"]["content"][0]["text"] for result in found.values()]


def test_answers_fit_and_vary_with_the_prompt_and_have_the_report() -> None:
    reading = Answers(FORM)
    answers = [reading.read(text) for text in texts(results({"format": FORM.sent_format}))]
    assert {answer.fields["risk"] for answer in answers} == {"low", "medium", "high"}
    assert len({answer.fields["score"] for answer in answers}) > 3
    assert all("## Risks" in str(answer.text) for answer in answers)


def test_the_same_prompt_gets_the_same_answer() -> None:
    config = {"format": FORM.sent_format}
    assert sorted(texts(results(config))) == sorted(texts(results(config)))


def test_invalid_answers_are_made_on_demand_in_more_than_one_way() -> None:
    found = texts(results({"format": FORM.sent_format}, 60, Faults(invalid_rate=0.5)))
    reasons = set()
    for text in found:
        try:
            Answers(FORM).read(text)
        except InvalidAnswer as error:
            reasons.add(error.message.partition(":")[0])
    assert {"the answer is not JSON", "the answer", "score"} <= reasons
    assert sum(text.endswith("}") and "score" in json.loads(text) for text in found) > 10


def test_what_is_cut_is_no_json() -> None:
    for text in texts(results({"format": FORM.sent_format}, 5, Faults(truncate_rate=1))):
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (3, "output_config: Input should be an object"),
        ({"format": {"type": "json"}}, "output_config.format.type: "),
        ({"format": {"type": "json_schema"}}, "output_config.format.schema: Field required"),
        (
            {"format": {"type": "json_schema", "schema": {"type": "integer", "maximum": 3}}},
            "For 'integer' type, property 'maximum' is not supported",
        ),
        (
            {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}},
            "'additionalProperties' must be explicitly set to false",
        ),
        (
            {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            f"a{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]}
                            for n in range(17)
                        },
                    },
                }
            },
            "too many parameters with union types (17",
        ),
    ],
)
def test_what_the_api_does_not_take_is_an_errored_row(config: Any, message: str) -> None:
    [found] = results(config, 1).values()
    error = found["error"]["error"]
    assert error["type"] == "invalid_request_error"
    assert message in error["message"]


def test_effort_alone_is_no_form() -> None:
    [text] = texts(results({"effort": "low"}, 1))
    assert text.startswith("> Placeholder")
