"""What answers mean, without a server."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.anthropic_errors import Answer, Call, from_answer, one_line, retry_after
from shared.domain.pause import PauseReason
from shared.ports.batch_api import InDoubt, NotFound, Refused, Unavailable

NOW = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "10"}, 10),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "Tue, 24 Nov 2026 10:01:30 GMT"}, 90),
        ({"retry-after": "Tue, 24 Nov 2026 10:01:30 -0000"}, 90),
        ({"retry-after": "Tue, 24 Nov 2026 09:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, 86_400),
        ({"retry-after": "Fri, 24 Nov 9999 10:01:30 GMT"}, 86_400),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], expected: float | None) -> None:
    wanted = None if expected is None else timedelta(seconds=expected)
    assert retry_after(headers, now=NOW) == wanted


@pytest.mark.parametrize("call", list(Call))
@pytest.mark.parametrize("status", range(300, 600))
def test_every_status_of_every_call_means_something(status: int, call: Call) -> None:
    error = from_answer(Answer(status=status, headers={}, body=b""), call, now=NOW)
    if call is not Call.CREATE:
        assert not isinstance(error, InDoubt)
    elif status >= 500 and status != 529:
        assert isinstance(error, InDoubt)
    if status == 404:
        kinds = {Call.CREATE: Unavailable, Call.LIST: Unavailable, Call.COUNT_TOKENS: Refused}
        assert isinstance(error, kinds.get(call, NotFound))
    assert str(status) in error.message


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"x"', b'{"error":null}', b'{"error":{"type":5}}', b"\xff", b"[" * 9999],
)
def test_bodies_of_any_shape_are_survived(body: bytes) -> None:
    error = from_answer(Answer(status=400, headers={}, body=body), Call.CREATE, now=NOW)
    assert isinstance(error, Refused)
    assert error.type == "http_400"


@pytest.mark.parametrize(
    ("status", "fields", "reason"),
    [
        (429, {"details": {"error_code": "contract_spend_limit_reached"}}, PauseReason.SPEND_LIMIT),
        (429, {"details": {"error_code": "ramp_limit_exceeded"}}, PauseReason.RATE_LIMIT),
        (403, {"type": "billing_error"}, PauseReason.SPEND_LIMIT),
        (400, {"message": "Your credit balance is too low to go on"}, PauseReason.SPEND_LIMIT),
        (503, {"type": "overloaded_error"}, PauseReason.OVERLOADED),
    ],
)
def test_codes_and_types_tell_what_a_status_does_not(
    status: int, fields: dict[str, object], reason: PauseReason
) -> None:
    body = msgspec.json.encode({"error": fields})
    error = from_answer(Answer(status=status, headers={}, body=body), Call.CREATE, now=NOW)
    assert isinstance(error, Unavailable)
    assert error.reason is reason


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>404</html>",
        b'{"error":{"type":"not_found_error","message":"Not found: /models/v1/messages/batches"}}',
        b'{"error":{"type":"not_found_error","message":"Not Found"}}',
        b'{"detail":"no such model route"}',
    ],
)
def test_where_there_is_no_such_call_the_address_is_wrong(status: int, body: bytes) -> None:
    for call in (Call.CREATE, Call.LIST):
        error = from_answer(Answer(status=status, headers={}, body=body), call, now=NOW)
        assert isinstance(error, Unavailable)
        assert error.reason is PauseReason.ACCESS
        assert "check ANTHROPIC_BASE_URL" in error.message


@pytest.mark.parametrize("message", ["model: claude-nobody", "requests.3.params.model: x"])
def test_a_create_that_finds_no_such_model_is_refused(message: str) -> None:
    body = msgspec.json.encode({"error": {"type": "not_found_error", "message": message}})
    error = from_answer(Answer(status=404, headers={}, body=body), Call.CREATE, now=NOW)
    assert isinstance(error, Refused)
    assert error.type == "not_found_error"
    assert error.request == (3 if "requests" in message else None)


def test_messages_are_one_bounded_line_without_keys() -> None:
    line = one_line(
        "a\r\n\tb\u2028c\x1b[31m sk-ant-api03-AbC_d-9 another-providers-key " + "x" * 999,
        hide=("another-providers-key",),
    )
    assert line.startswith("a b c [31m sk-ant-… … x")
    assert len(line) == 500


def test_the_type_of_an_error_is_a_short_line_without_the_key_too() -> None:
    body = msgspec.json.encode(
        {"error": {"type": "a\nkey-canary-16-char " + "x" * 999, "message": "m"}}
    )
    answer = Answer(status=400, headers={"request-id": "key-canary-16-char"}, body=body)
    error = from_answer(answer, Call.CREATE, now=NOW, hide=("key-canary-16-char",))
    assert isinstance(error, Refused)
    assert error.type.startswith("a … x")
    assert len(error.type) == 100
    assert "canary" not in error.message


def test_the_user_and_password_of_an_address_are_not_repeated() -> None:
    line = one_line("no answer from https://user:pass@gateway/v1 (me@example.com)")
    assert line == "no answer from https://…@gateway/v1 (me@example.com)"


WORDS = ["Fri,", "31", "Dec", "9999", "0001", "23:59:59", "24:00:00", "-2359", "+9999", "GMT"]


@given(st.lists(st.sampled_from([*WORDS, "9" * 20, "1e5", "\x00", ",", ":"]) | st.text(max_size=5)))
@settings(max_examples=500)
def test_no_retry_after_is_more_than_a_bounded_wait(words: list[str]) -> None:
    for name in ("retry-after", "retry-after-ms"):
        wait = retry_after({name: " ".join(words)}, now=NOW)
        assert wait is None or timedelta(0) <= wait <= timedelta(days=1)


def test_a_date_beyond_what_a_machine_can_hold_is_no_date() -> None:
    headers = {"retry-after": "-1 Jan 23:59:59 99999999999999999999 Fri, -2359 +2359"}
    assert retry_after(headers, now=NOW) is None


@given(st.integers(100, 999), st.sampled_from(list(Call)), st.binary(max_size=60))
@settings(max_examples=300)
def test_any_status_with_any_body_is_an_error_of_ours(status: int, call: Call, body: bytes) -> None:
    wrapped = b'{"error":{"type":"' + body + b'","message":"' + body + b'"}}'
    for content in (body, wrapped):
        error = from_answer(Answer(status=status, headers={}, body=content), call, now=NOW)
        assert len(error.message) <= 500
        assert len(error.message.splitlines()) == 1


def test_a_key_that_is_a_word_leaves_messages_as_they_are() -> None:
    assert one_line("max_tokens: too many", hide=("x",)) == "max_tokens: too many"
    said = one_line("not found: /a-gateway-secret/v1/x", hide=("", "a-gateway-secret"))
    assert said == "not found: /…/v1/x"
    assert one_line("bad key-canary-16-char", hide=("key-canary-16-char",)) == "bad …"
