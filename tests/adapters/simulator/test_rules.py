"""What is refused at once, and what comes out at the end."""

import json
from typing import Any

import pytest

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.messages import Request
from tests.adapters.simulator.core_client import (
    HEADERS,
    START,
    CoreClient,
    error_of,
    row,
    rows,
)

INVALID = "invalid_request_error"
BETA = {"anthropic_beta": "other-2026-01-01, output-300k-2026-03-24"}


@pytest.fixture
def one() -> CoreClient:
    return CoreClient()


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "requests: List should have at least 1 item after validation, not 0"),
        ([{"params": {}}], "requests.0.custom_id: Field required"),
        ([row("a"), {"custom_id": "b"}], "requests.1.params: Field required"),
        ([row("a" * 65)], "requests.0.custom_id: String should have at most 64 characters"),
        (
            [row("a"), row("ä")],
            "requests.1.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
        ),
        (
            [row("a\n")],
            "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
        ),
        (
            [row("dup"), row("dup")],
            "requests: custom_id's must be unique within a batch. Duplicate custom_id found: dup",
        ),
    ],
)
def test_a_wrong_list_is_refused_with_the_apis_message(
    one: CoreClient, requests: list[Any], message: str
) -> None:
    assert error_of(one.post(requests)) == (400, INVALID, message)
    assert one.simulator.batches == {}


def test_more_than_100_000_requests_are_refused(one: CoreClient) -> None:
    status, kind, message = error_of(one.post([{}] * 100_001))
    assert (status, kind) == (400, INVALID)
    assert message.startswith("requests: List should have at most 100000 items")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"requests":[{]}', b'{"requests":[{"custom_id":"a","params":{"x":"\xff"}}]}'],
)
def test_what_is_not_json_is_refused_as_that(one: CoreClient, body: bytes) -> None:
    status, kind, message = error_of(one.call("POST", body=body))
    assert (status, kind) == (400, INVALID)
    assert message.startswith("The request body is not valid JSON: ")
    assert one.simulator.created == 0


def test_the_edge_refuses_a_body_above_256_mb_in_its_own_shape(one: CoreClient) -> None:
    answer = one.call("POST", length=256_000_001)
    assert answer.status == 413
    assert json.loads(answer.body) == {
        "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}
    }


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
@pytest.mark.parametrize(("value", "status"), [("right", 200), ("wrong", 401), ("", 401)])
def test_both_headers_authenticate(name: str, value: str, status: int) -> None:
    one = CoreClient(simulator=Simulator(settings=SimulatorSettings(keys=("right",))))
    shown = f"Bearer {value}" if name == "authorization" else value
    answer = one.call(headers={name: shown, "anthropic-version": "2023-06-01"})
    assert answer.status == status
    if status == 401:
        assert error_of(answer)[1] == "authentication_error"


@pytest.mark.parametrize("version", [None, "2020-01-01"])
def test_the_version_header_is_required_and_known(one: CoreClient, version: str | None) -> None:
    headers = {"x-api-key": "k"} | ({} if version is None else {"anthropic-version": version})
    assert error_of(one.call(headers=headers))[:2] == (400, INVALID)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": "0"}, "limit: Input should be greater than or equal to 1"),
        ({"limit": "1001"}, "limit: Input should be less than or equal to 1000"),
        (
            {"limit": "x"},
            "limit: Input should be a valid integer, unable to parse string as an integer",
        ),
    ],
)
def test_a_wrong_limit_is_refused(one: CoreClient, query: dict[str, str], message: str) -> None:
    assert error_of(one.call(query=query)) == (400, INVALID, message)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "", 405),
        ("PUT", "", 405),
        ("POST", "/msgbatch_x", 405),
        ("GET", "/msgbatch_x/cancel", 405),
        ("GET", "/msgbatch_x/other", 404),
        ("GET", "elsewhere", 404),
    ],
)
def test_other_paths_and_methods_are_refused(
    one: CoreClient, method: str, path: str, status: int
) -> None:
    answer = one.call(method, path)
    assert answer.status == status
    assert answer.headers["request-id"] == json.loads(answer.body)["request_id"]


def test_unknown_unfinished_and_deleted_batches_have_their_own_words(one: CoreClient) -> None:
    assert error_of(one.call(path="/msgbatch_x")) == (
        404,
        "not_found_error",
        "Message Batch msgbatch_x not found.",
    )
    batch = one.create(rows(1))
    assert error_of(one.call(path=f"/{batch}/results")) == (
        404,
        "not_found_error",
        f"Message Batch {batch} has no available results.",
    )
    assert error_of(one.call("DELETE", f"/{batch}")) == (
        400,
        INVALID,
        "In progress batches cannot be deleted. Consider canceling the batch instead.",
    )
    one.later(101)
    deleted = json.loads(one.call("DELETE", f"/{batch}").body)
    assert deleted == {"id": batch, "type": "message_batch_deleted"}
    assert one.call(path=f"/{batch}").status == 404


def _error(one: CoreClient, params: dict[str, Any], **headers: str) -> tuple[str, str] | None:
    batch = one.create([row("a", **params)], **headers)
    one.later(101)
    result = one.results(batch)["a"]
    if result["type"] == "succeeded":
        return None
    outer = result["error"]
    assert outer["type"] == "error"
    assert outer["request_id"] is None
    return outer["error"]["type"], outer["error"]["message"]


USER = {"role": "user", "content": "Hi"}
CITED = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}


@pytest.mark.parametrize(
    ("params", "kind", "message"),
    [
        ({"model": "claude-nobody"}, "not_found_error", "model: claude-nobody"),
        ({"model": None}, INVALID, "model: Field required"),
        ({"messages": None}, INVALID, "messages: Field required"),
        ({"messages": []}, INVALID, "messages: at least one message is required"),
        ({"max_tokens": None}, INVALID, "max_tokens: Field required"),
        ({"max_tokens": 0}, INVALID, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": "9"}, INVALID, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 128_001}, INVALID, "max_tokens: 128001 > 128000"),
        ({"model": "claude-haiku-4-5", "max_tokens": 64_001}, INVALID, "max_tokens: 64001 > 64000"),
        ({"temperature": 1.0}, INVALID, "temperature: "),
        ({"top_p": 1.0}, INVALID, "top_p: "),
        ({"top_k": 5}, INVALID, "top_k: "),
        ({"stream": True}, INVALID, "stream: "),
        ({"speed": "fast"}, INVALID, "speed: "),
        ({"fallbacks": []}, INVALID, "fallbacks: "),
        ({"billing_policy": {"bill_to": "user_profile"}}, INVALID, "billing_policy"),
        ({"messages": [{"role": "system", "content": "x"}]}, INVALID, "messages.0.role: "),
        ({"messages": [{"role": "user"}]}, INVALID, "messages.0.content: Field required"),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "document"}]}]},
            INVALID,
            "messages.1.content.0: ",
        ),
        ({"messages": [{"role": "user", "content": [CITED]}]}, INVALID, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": "x" * 4_100_000}]},
            INVALID,
            "prompt is too long: 1025000 tokens > 1000000 maximum",
        ),
    ],
)
def test_wrong_params_come_out_as_an_errored_row(
    one: CoreClient, params: dict[str, Any], kind: str, message: str
) -> None:
    error = _error(one, params)
    assert error is not None
    assert error[0] == kind
    assert error[1].startswith(message)


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_older_version_still_takes_sampling_parameters(one: CoreClient, name: str) -> None:
    assert _error(one, {name: 1}, anthropic_version="2023-06-01") is None


@pytest.mark.parametrize(
    ("model", "most", "allowed"),
    [
        ("claude-opus-4-6", 300_000, True),
        ("claude-opus-4-6", 300_001, False),
        ("claude-haiku-4-5", 64_001, False),
    ],
)
def test_the_beta_header_lifts_the_cap_of_models_that_have_it(
    one: CoreClient, model: str, most: int, *, allowed: bool
) -> None:
    error = _error(one, {"model": model, "max_tokens": most}, **BETA)
    assert (error is None) is allowed


def test_request_ids_differ_from_call_to_call(one: CoreClient) -> None:
    request = Request(method="GET", path="/v1/messages/batches", headers=HEADERS)
    ids = {one.simulator.apply(START, request).headers["request-id"] for _ in range(5)}
    assert len(ids) == 5
