import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.events import (
    MAX_KEY_BYTES,
    MalformedEvent,
    batch_to_collect,
    changed_keys,
    left_message,
    sqs_records,
    uploads,
)
from shared.app.uploads import Upload
from shared.domain.document import RowPlace
from shared.domain.ids import BATCH_ID_ALPHABET

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
    batch = batch_to_collect(record.body)
    assert len(batch) == 12
    assert set(batch) <= set(BATCH_ID_ALPHABET)


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


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": [{"body": "x"}]},
        {"Records": None},
        {"Records": 5},
        {"Records": [None]},
        {"Records": ["messageId"]},
        {"Records": [{"messageId": None, "body": "x"}]},
        {"Records": [{"messageId": "", "body": "x"}]},
    ],
)
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


@pytest.mark.parametrize("body", [None, 5, [], {}, b"x"])
def test_a_record_without_a_usable_body_is_malformed_by_itself(body: object) -> None:
    good = json.dumps(load("s3-put.json"))
    event = {"Records": [{"messageId": "1", "body": body}, {"messageId": "2", "body": good}]}
    bad, fine = sqs_records(event)
    with pytest.raises(MalformedEvent):
        list(changed_keys(bad.body))
    assert list(changed_keys(fine.body))


def named(key: object) -> str:
    event = load("s3-put.json")
    event["Records"][0]["s3"]["object"]["key"] = key
    return json.dumps(event)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 17))
@settings(max_examples=300)
def test_every_byte_that_s3_allows_in_a_key_arrives(raw: bytes, times: int) -> None:
    key = raw.decode(errors="replace") * times
    while len(key.encode()) > MAX_KEY_BYTES:
        key = key[:-1]
    assert list(changed_keys(named(quote_plus(key)))) == [key]


@pytest.mark.parametrize("key", ["", "x" * 1025, "é" * 513, "x" * 1_000_000, "\ud800", None, 5, {}])
def test_a_key_that_s3_can_not_have_is_malformed(key: object) -> None:
    with pytest.raises(MalformedEvent):
        list(changed_keys(named(key)))


@pytest.mark.parametrize("name", ["", "x" * 3000, "k2m9x4q1w8a", "K2M9X4Q1W8AB", "../../etc", None])
def test_a_batch_id_that_nobody_gave_is_malformed(name: object) -> None:
    with pytest.raises(MalformedEvent):
        batch_to_collect(json.dumps({"batch_id": name}))


NOTIFICATION: dict[str, Any] = load("s3-put.json")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(JSON, st.sampled_from(["Records", "eventName", "s3", "object", "key", "event"]), JSON)
@settings(max_examples=300)
def test_any_value_in_any_field_of_an_event_does_no_more(
    odd: object, field: str, more: object
) -> None:
    body = json.loads(json.dumps(NOTIFICATION))
    record = body["Records"][0]
    match field:
        case "Records":
            body["Records"] = odd
        case "eventName" | "s3":
            record[field] = odd
        case "object":
            record["s3"]["object"] = odd
        case "key":
            record["s3"]["object"]["key"] = odd
        case "event":
            body = odd
    event = {"Records": [{"messageId": "1", "body": json.dumps(body)}, more]}
    for found in (event, {"Records": event["Records"][:1]}, more):
        try:
            for one in sqs_records(found):  # type: ignore[arg-type]
                list(changed_keys(one.body))
        except MalformedEvent:
            continue
