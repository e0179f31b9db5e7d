"""A line that names its request is never lost, whatever else it holds."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.catalog import Usage
from shared.domain.document import Failure
from shared.domain.outcome import (
    LONGEST_MESSAGE,
    LONGEST_TYPE,
    MOST_TOKENS,
    Fail,
    Outcome,
    Report,
    Retry,
    judge,
)
from shared.domain.result_line import MalformedLine, decode

CUSTOM_ID = "a-00000-k2m9x4q2w8ab"
USAGE: dict[str, Any] = {
    "input_tokens": 16,
    "output_tokens": 5,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
}
SUCCEEDED: dict[str, Any] = {
    "type": "succeeded",
    "message": {
        "model": "claude-opus-4-6",
        "content": [{"type": "text", "text": "# Report"}],
        "stop_reason": "end_turn",
        "stop_details": {"category": "cyber", "explanation": "No."},
        "usage": USAGE,
    },
}
ERRORED: dict[str, Any] = {
    "type": "errored",
    "error": {"type": "error", "error": {"type": "api_error", "message": "why"}},
}
ODD: tuple[object, ...] = (
    *(None, True, "", "x", "16", -1, -(10**30), 0, 1.5, 16.0, float("nan"), float("inf")),
    *(2**63, 2**64, 10**400, [], [None], [[]], {}, {"type": 5}, "\ud800", "a\x00b", "x" * 5_000),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def line(result: object) -> bytes:
    return json.dumps({"custom_id": CUSTOM_ID, "result": result}).encode()


def outcome(result: object) -> Outcome:
    return judge(decode(line(result)), attempts=0, max_attempts=3)


def places(value: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place within a value, by the keys that lead there."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [above, *(place for key, item in inner for place in places(item, (*above, key)))]


def replaced(value: object, place: tuple[str | int, ...], odd: object) -> object:
    if not place:
        return odd
    changed = deepcopy(value)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return changed


def check(found: Outcome) -> None:
    """It can be written down: bounded, whole characters only, counts that can be added up."""
    usage = Usage() if isinstance(found, Retry) else found.usage or Usage()
    for tokens in (usage.input_tokens, usage.output_tokens, usage.prompt_tokens):
        assert 0 <= tokens <= 4 * MOST_TOKENS
    if isinstance(found, Report):
        f"{found.text}{found.model}{found.stop_reason}".encode()
    else:
        assert isinstance(found.failure, Failure)
        assert len(found.failure.message) <= LONGEST_MESSAGE
        assert 0 < len(found.failure.type) <= LONGEST_TYPE
        f"{found.failure.type}{found.failure.message}".encode()


@pytest.mark.parametrize("result", [SUCCEEDED, ERRORED], ids=["succeeded", "errored"])
def test_any_field_may_hold_anything_and_the_line_still_has_an_outcome(
    result: dict[str, Any],
) -> None:
    for place in places(result):
        for odd in ODD:
            check(outcome(replaced(result, place, odd)))


@given(JSON, st.sampled_from(places(SUCCEEDED)))
@settings(max_examples=300)
def test_generated_values_in_any_field_do_no_more(
    odd: object, place: tuple[str | int, ...]
) -> None:
    check(outcome(replaced(SUCCEEDED, place, odd)))


@pytest.mark.parametrize(
    ("place", "odd", "tokens"),
    [
        ("input_tokens", 1.5, 0),
        ("input_tokens", 16.0, 16),
        ("input_tokens", "16", 0),
        ("input_tokens", -16, 0),
        ("input_tokens", MOST_TOKENS + 1, 0),
        ("input_tokens", 10**400, 0),
        ("input_tokens", True, 0),
        ("output_tokens", {}, 16),
    ],
)
def test_what_is_no_count_of_tokens_is_not_counted_and_loses_no_report(
    place: str, odd: object, tokens: int
) -> None:
    found = outcome(replaced(SUCCEEDED, ("message", "usage", place), odd))
    assert isinstance(found, Report)
    assert found.text == "# Report"
    assert found.usage.input_tokens == tokens


def test_text_survives_what_stands_beside_it() -> None:
    blocks = [None, 5, "x", {"type": None}, {"type": "text", "text": 5}, {"type": "text_v2"}]
    kept = {"type": "text", "text": "half \ud800, whole \U0001f600"}
    found = outcome(replaced(SUCCEEDED, ("message", "content"), [*blocks, kept]))
    assert isinstance(found, Report)
    assert found.text == "half \ufffd, whole \U0001f600"


@pytest.mark.parametrize("result", [None, [], "succeeded", {}, {"type": None}, {"type": 5}])
def test_a_result_of_no_known_shape_ends_its_document_by_name(result: object) -> None:
    found = outcome(result)
    assert isinstance(found, Fail)
    assert found.failure.type == "unknown_result"


def test_a_success_without_a_message_says_so() -> None:
    found = outcome({"type": "succeeded", "message": None})
    assert isinstance(found, Fail)
    assert "holds no message" in found.failure.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b'\xef\xbb\xbf{"custom_id":"a"}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
        b'{"custom_id":null,"result":{"type":"expired"}}',
        b'{"custom_id":"a","result":{"type":"expired"}',
        b'{"custom_id":"a","result":{"type":"expired"}} {}',
        b'{"custom_id":"a","result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"custom_id":"a","result":{"type":"\xff"}}',
    ],
)
def test_what_is_no_line_at_all_is_malformed_and_crashes_nothing(data: bytes) -> None:
    with pytest.raises(MalformedLine):
        decode(data)


@given(st.integers(0, 400), st.binary(max_size=4))
@settings(max_examples=300)
def test_damage_anywhere_in_a_line_crashes_nothing(at: int, damage: bytes) -> None:
    whole = line(SUCCEEDED)
    at %= len(whole)
    try:
        found = decode(whole[:at] + damage + whole[at + len(damage) :])
    except MalformedLine:
        return
    check(judge(found, attempts=0, max_attempts=3))
