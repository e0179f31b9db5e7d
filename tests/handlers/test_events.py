import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.events import MalformedEvent, batch_to_collect, sqs_records, uploaded_keys

EVENTS = Path(__file__).parents[2] / "events"


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return found


def keys(event: dict[str, Any]) -> list[str]:
    return [key for record in sqs_records(event) for key in uploaded_keys(record.body)]


def test_a_put_names_its_key() -> None:
    assert keys(load("sqs-s3-put.json"))[0].startswith("project-analysis/")


def test_keys_are_decoded_as_s3_encodes_them() -> None:
    body = json.dumps(load("s3-put-url-encoded-key.json"))
    assert next(iter(uploaded_keys(body))).endswith("legal/Müller & Söhne (1).md")


def test_the_test_event_of_s3_names_nothing() -> None:
    assert list(uploaded_keys(json.dumps(load("s3-test-event.json")))) == []


def test_a_collect_message_names_its_batch() -> None:
    record = sqs_records(load("sqs-collect.json"))[0]
    assert len(batch_to_collect(record.body)) == 12


def test_removals_are_passed_over() -> None:
    event = load("s3-put.json")
    event["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    assert list(uploaded_keys(json.dumps(event))) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"Records": 1}',
        '{"Records": [{}]}',
        '{"Records": [null]}',
        '{"Records": [{"eventName": 1, "s3": {"object": {"key": "a"}}}]}',
        "[" * 100_000,
    ],
)
def test_a_body_that_is_no_notification_is_malformed(body: str) -> None:
    with pytest.raises(MalformedEvent):
        list(uploaded_keys(body))


@pytest.mark.parametrize("event", [{}, {"Records": [{"body": "x"}]}, {"Records": None}])
def test_an_event_that_is_not_from_sqs_is_malformed(event: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent):
        sqs_records(event)


@given(st.text())
def test_no_body_does_more_than_be_malformed(body: str) -> None:
    try:
        list(uploaded_keys(body))
        batch_to_collect(body)
    except MalformedEvent:
        return
