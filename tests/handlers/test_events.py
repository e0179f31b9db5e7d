import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.events import (
    MalformedEvent,
    batch_to_collect,
    changed_keys,
    left_message,
    sqs_records,
    uploads,
)
from shared.app.uploads import Upload
from shared.domain.document import RowPlace

EVENTS = Path(__file__).parents[2] / "events"


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return found


def keys(event: dict[str, Any]) -> list[str]:
    return [key for record in sqs_records(event) for key in changed_keys(record.body)]


def test_a_put_names_its_key() -> None:
    assert keys(load("sqs-s3-put.json"))[0].startswith("project-analysis/")


def test_keys_are_decoded_as_s3_encodes_them() -> None:
    body = json.dumps(load("s3-put-url-encoded-key.json"))
    assert next(iter(changed_keys(body))).endswith("legal/Müller & Söhne (1).md")


def test_the_test_event_of_s3_names_nothing() -> None:
    assert list(changed_keys(json.dumps(load("s3-test-event.json")))) == []


def test_a_collect_message_names_its_batch() -> None:
    record = sqs_records(load("sqs-collect.json"))[0]
    assert len(batch_to_collect(record.body)) == 12


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"])
def test_removals_are_looked_at_too(name: str) -> None:
    event = load("s3-put.json")
    event["Records"][0]["eventName"] = name
    assert len(list(changed_keys(json.dumps(event)))) == 1


@pytest.mark.parametrize("name", ["ObjectTagging:Put", "s3:ObjectRestore:Completed", ""])
def test_what_changes_no_content_is_passed_over(name: str) -> None:
    event = load("s3-put.json")
    event["Records"][0]["eventName"] = name
    assert list(changed_keys(json.dumps(event))) == []


def test_the_rest_of_an_upload_comes_back_as_it_was_sent() -> None:
    row = RowPlace(manifest_etag="e", line=7, offset=70, length=9)
    for left in (
        Upload(key="legal/a.csv", source="legal/a.csv", row=row),
        Upload(key="j/_recipe.md", source="j/ü\n"),
    ):
        assert list(uploads(left_message(left))) == [left]


@pytest.mark.parametrize("left", [None, [], {}, {"key": 1}, {"key": "a", "row": {"line": "x"}}])
def test_a_rest_that_is_none_is_malformed(left: object) -> None:
    with pytest.raises(MalformedEvent):
        list(uploads(json.dumps({"docmill_left": left})))


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
        list(changed_keys(body))


@pytest.mark.parametrize("event", [{}, {"Records": [{"body": "x"}]}, {"Records": None}])
def test_an_event_that_is_not_from_sqs_is_malformed(event: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent):
        sqs_records(event)


@given(st.text())
def test_no_body_does_more_than_be_malformed(body: str) -> None:
    try:
        list(changed_keys(body))
        batch_to_collect(body)
    except MalformedEvent:
        return
