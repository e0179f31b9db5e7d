import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.answer import Answers
from shared.domain.answer_form import AnswerForm, Output
from shared.domain.catalog import Usage
from shared.domain.outcome import Fail, MalformedLine, Outcome, Report, Retry, decode, judge


def line(result: dict[str, Any]) -> bytes:
    return json.dumps({"custom_id": "a-00000-k2m9x4q2w8ab", "result": result}).encode()


def succeeded(stop_reason: str | None = "end_turn", text: str = "# Report", **more: Any) -> bytes:
    usage = {
        "input_tokens": 16,
        "output_tokens": 5,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "model": "claude-opus-4-6",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "usage": usage,
        **more,
    }
    return line({"type": "succeeded", "message": message})


def errored(type_: str, message: str = "why") -> bytes:
    error = {"type": "error", "error": {"type": type_, "message": message}, "request_id": None}
    return line({"type": "errored", "error": error})


def outcome(data: bytes, attempts: int = 0, max_attempts: int = 3) -> Outcome:
    return judge(decode(data), attempts=attempts, max_attempts=max_attempts)


def test_an_answer_becomes_a_report_with_every_kind_of_token() -> None:
    assert outcome(succeeded()) == Report(
        text="# Report",
        model="claude-opus-4-6",
        stop_reason="end_turn",
        truncated=False,
        usage=Usage(
            input_tokens=16,
            output_tokens=5,
            cache_creation_5m=10,
            cache_creation_1h=20,
            cache_read=7,
        ),
    )


@pytest.mark.parametrize("stop_reason", ["max_tokens", "model_context_window_exceeded"])
def test_an_answer_that_was_cut_short_is_a_truncated_report(stop_reason: str) -> None:
    found = outcome(succeeded(stop_reason))
    assert isinstance(found, Report)
    assert (found.truncated, found.stop_reason) == (True, stop_reason)


def test_a_refusal_fails_with_its_category_and_what_it_used() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    found = outcome(succeeded("refusal", stop_details=details))
    assert isinstance(found, Fail)
    assert found.failure.type == "refusal"
    assert found.failure.message == "the model refused (cyber): No."
    assert not found.failure.retryable
    assert found.usage is not None


@pytest.mark.parametrize("stop_reason", ["pause_turn", "tool_use"])
def test_an_unfinished_turn_is_a_failure_of_its_name(stop_reason: str) -> None:
    found = outcome(succeeded(stop_reason))
    assert isinstance(found, Fail)
    assert found.failure.type == stop_reason


def test_an_answer_without_text_is_not_a_report() -> None:
    found = outcome(succeeded(text="  \n"))
    assert isinstance(found, Fail)
    assert found.failure.type == "empty_report"


def test_a_stop_reason_nobody_knows_yet_still_gives_the_report() -> None:
    found = outcome(succeeded("comet_strike"))
    assert isinstance(found, Report)
    assert found.stop_reason == "comet_strike"


def test_text_after_thinking_and_between_other_blocks_is_joined() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "id": "x"},
        {"type": "text", "text": "b"},
    ]
    found = outcome(succeeded(content=blocks))
    assert isinstance(found, Report)
    assert found.text == "ab"


@pytest.mark.parametrize("type_", ["api_error", "overloaded_error", "timeout_error"])
def test_server_trouble_is_tried_again_until_the_attempts_are_used_up(type_: str) -> None:
    assert isinstance(outcome(errored(type_), attempts=1), Retry)
    last = outcome(errored(type_), attempts=2)
    assert isinstance(last, Fail)
    assert (last.failure.attempts, last.failure.retryable) == (3, True)


def test_an_expired_request_is_tried_again() -> None:
    found = outcome(line({"type": "expired"}))
    assert isinstance(found, Retry)
    assert found.attempts == 1


@pytest.mark.parametrize("type_", ["invalid_request_error", "not_found_error"])
def test_a_request_that_can_never_succeed_is_final_at_once(type_: str) -> None:
    found = outcome(errored(type_, "prompt is too long"))
    assert isinstance(found, Fail)
    assert (found.failure.type, found.failure.message) == (type_, "prompt is too long")
    assert not found.failure.retryable


@pytest.mark.parametrize(
    "data",
    [
        errored("invalid_request_error", "Your credit balance is too low to access the API."),
        errored("invalid_request_error", "You have reached your specified API usage limits."),
        errored("billing_error"),
    ],
)
def test_missing_credit_waits_for_the_person_and_burns_no_attempt(data: bytes) -> None:
    found = outcome(data, attempts=2)
    assert isinstance(found, Retry)
    assert found.attempts == 2
    assert found.hold


@pytest.mark.parametrize("type_", ["permission_error", "never_heard_of_error"])
def test_other_errors_are_left_to_a_retry_by_a_person(type_: str) -> None:
    found = outcome(errored(type_))
    assert isinstance(found, Fail)
    assert found.failure.retryable


def test_a_canceled_request_can_be_retried_by_a_person() -> None:
    found = outcome(line({"type": "canceled"}))
    assert isinstance(found, Fail)
    assert (found.failure.type, found.failure.retryable) == ("canceled", True)


@pytest.mark.parametrize(
    "result", [{"type": "vanished"}, {"type": "errored"}, {"type": "errored", "error": None}]
)
def test_results_of_an_unknown_shape_fail_by_name(result: dict[str, Any]) -> None:
    assert isinstance(outcome(line(result)), Fail)


def test_cache_writes_without_detail_are_the_five_minute_kind() -> None:
    found = outcome(succeeded(usage={"input_tokens": 1, "cache_creation_input_tokens": 9}))
    assert isinstance(found, Report)
    assert found.usage == Usage(input_tokens=1, cache_creation_5m=9)


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        decode(data)
    except MalformedLine:
        return


@pytest.mark.parametrize("data", [b"{}", b"null", b'{"custom_id":1}', succeeded()[:-5]])
def test_a_line_that_is_cut_or_of_another_shape_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedLine):
        decode(data)


ANSWERS = Answers(
    AnswerForm(output=Output.JSON, fields={"score": {"type": "integer", "maximum": 9}})
)


def read_by(data: bytes, attempts: int = 0) -> Outcome:
    return judge(decode(data), attempts=attempts, max_attempts=3, answers=ANSWERS)


def test_an_answer_by_fields_is_a_report_without_text() -> None:
    found = read_by(succeeded(text='{"score": 5}'))
    assert isinstance(found, Report)
    assert (found.text, found.fields, found.truncated) == ("", {"score": 5}, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"score": 10}', "score: it is greater than the maximum of 9"),
        ("Sure! Here it is", "the answer is not JSON"),
    ],
)
def test_an_invalid_answer_counts_and_is_tried_again_until_attempts_end(
    text: str, message: str
) -> None:
    usage = Usage(
        input_tokens=16, output_tokens=5, cache_creation_5m=10, cache_creation_1h=20, cache_read=7
    )
    for attempts in (0, 1):
        again = read_by(succeeded(text=text), attempts)
        assert isinstance(again, Retry)
        assert (again.attempts, again.usage) == (attempts + 1, usage)
    last = read_by(succeeded(text=text), 2)
    assert isinstance(last, Fail)
    assert (last.failure.type, last.failure.retryable) == ("invalid_output", True)
    assert message in last.failure.message
    assert last.usage == usage


@pytest.mark.parametrize(
    ("reason", "message"),
    [("max_tokens", "raise max_tokens"), ("model_context_window_exceeded", "split the document")],
)
def test_an_answer_that_was_cut_is_not_tried_again(reason: str, message: str) -> None:
    found = read_by(succeeded(reason, text='{"score": '))
    assert isinstance(found, Fail)
    assert (found.failure.type, found.failure.retryable) == ("output_cut", False)
    assert message in found.failure.message
    assert found.usage is not None


def test_an_answer_that_was_cut_behind_its_end_is_whole() -> None:
    found = read_by(succeeded("max_tokens", text='{"score": 5}'))
    assert isinstance(found, Report)
    assert (found.fields, found.truncated) == ({"score": 5}, True)


def test_a_refusal_is_told_as_one_whatever_was_asked_for() -> None:
    found = read_by(succeeded("refusal", text=""))
    assert isinstance(found, Fail)
    assert found.failure.type == "refusal"
