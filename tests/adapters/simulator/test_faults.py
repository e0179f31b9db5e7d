"""What goes wrong on demand: in rows and listings, and with calls as the SDK sees them."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault, Faults
from shared.adapters.simulator.messages import Cut, Framing
from shared.adapters.simulator.server import Running, running_simulator
from tests.adapters.simulator.core_client import CoreClient, error_of, rows


def ended(faults: Faults, count: int = 200) -> tuple[CoreClient, str]:
    settings = SimulatorSettings(duration_s=100)
    one = CoreClient(simulator=Simulator(seed=1, settings=settings, faults=faults))
    batch = one.create(rows(count))
    one.later(101)
    return one, batch


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=60)) as running:
        yield running


@pytest.fixture
def client(provider: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="k", base_url=provider.base_url, max_retries=0, timeout=20
    ) as made:
        yield made


def create(client: anthropic.Anthropic, count: int = 3) -> str:
    return client.messages.batches.create(requests=rows(count)).id  # type: ignore[arg-type]


def post(url: str, content: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=json.dumps(content).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def raw_results(provider: Running, batch: str) -> bytes:
    """The whole answer as it comes over the wire, to where the connection ends."""
    host, port = provider.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(
            f"GET /v1/messages/batches/{batch}/results HTTP/1.1\r\nHost: {host}\r\n"
            "x-api-key: k\r\nanthropic-version: 2026-10-21\r\nConnection: close\r\n\r\n".encode()
        )
        return b"".join(iter(lambda: line.recv(1 << 16), b""))


@pytest.mark.parametrize(
    ("faults", "stop_reason"),
    [
        (Faults(refuse_rate=1), "refusal"),
        (Faults(truncate_rate=1), "max_tokens"),
        (Faults(pause_rate=1), "pause_turn"),
        (Faults(overflow_rate=1), "model_context_window_exceeded"),
    ],
)
def test_rows_stop_for_the_reason_asked_for(faults: Faults, stop_reason: str) -> None:
    one, batch = ended(faults, 3)
    messages = [result["message"] for result in one.results(batch).values()]
    assert {message["stop_reason"] for message in messages} == {stop_reason}
    if stop_reason == "refusal":
        assert messages[0]["stop_details"]["category"] == "cyber"
        assert messages[0]["content"] == []
    if stop_reason == "max_tokens":
        assert messages[0]["usage"]["output_tokens"] == 1024


def test_rates_strike_about_their_share_and_only_what_is_named() -> None:
    one, batch = ended(Faults(error_rate=0.5, expire_rate=0.25))
    counts = one.look(batch)["request_counts"]
    assert 70 < counts["errored"] < 130
    assert 25 < counts["expired"] < 75
    one, batch = ended(Faults(error_rate=1, containing="r1"))
    results = one.results(batch)
    errored = {custom_id for custom_id, result in results.items() if result["type"] == "errored"}
    assert errored == {custom_id for custom_id in results if "r1" in custom_id}


def test_a_row_that_failed_while_it_ran_names_its_worker() -> None:
    one, batch = ended(Faults(error_rate=1, error_type="overloaded_error", error_message="Busy"), 1)
    outer = one.results(batch)["r0"]["error"]
    assert (outer["error"]["type"], outer["error"]["message"]) == ("overloaded_error", "Busy")
    assert outer["request_id"].startswith("workerreq_")


def test_low_credit_errors_every_row_as_an_invalid_request() -> None:
    one, batch = ended(Faults(out_of_credit=True), 3)
    errors = [result["error"]["error"] for result in one.results(batch).values()]
    assert {error["type"] for error in errors} == {"invalid_request_error"}
    assert errors[0]["message"].startswith(
        "Your credit balance is too low to access the Anthropic API. "
    )


def test_lines_are_doubled_broken_and_strangers_come_in_and_counts_disagree() -> None:
    one, batch = ended(Faults(duplicate_lines=2, malformed_lines=1, stray_lines=1), 5)
    lines = one.lines(batch)
    assert len(lines) == 9
    assert len(set(lines)) == 7
    one.simulator.faults.wrong_counts = 1
    assert one.look(batch)["request_counts"]["succeeded"] == 6
    assert one.look(batch)["request_counts"]["succeeded"] == 6


def test_a_new_batch_is_hidden_and_its_listing_lags() -> None:
    one = CoreClient()
    one.simulator.faults = Faults(not_found_s=5, listing_lag_s=8)
    batch = one.create(rows(1))
    assert one.call(path=f"/{batch}").status == 404
    one.later(6)
    assert one.look(batch)["id"] == batch
    assert one.listed() == ([], False)
    one.later(3)
    assert one.listed() == ([batch], False)


def test_spend_limits_are_told_apart() -> None:
    one = CoreClient()
    one.simulator.faults = Faults(tier_limit=True)
    answer = one.post(rows(1))
    assert answer.status == 429
    assert "retry-after" not in answer.headers
    details = json.loads(answer.body)["error"]["details"]
    assert details == {"error_code": "enforced_spend_limit_reached"}
    one.simulator.faults = Faults(spend_limit=True)
    status, _, message = error_of(one.post(rows(1)))
    assert status == 400
    assert message == (
        "You have reached your specified API usage limits. "
        "You will regain access on 2026-12-01 at 00:00 UTC."
    )


def test_a_scripted_fault_strikes_as_often_as_it_says_or_at_its_rate() -> None:
    one = CoreClient()
    one.simulator.faults = Faults(script=[Fault(call=Call.LIST, status=529, times=2)])
    assert [one.call().status for _ in range(3)] == [529, 529, 200]
    one.simulator.faults = Faults(script=[Fault(call=Call.LIST, status=500, times=None, rate=0.5)])
    statuses = [one.call().status for _ in range(200)]
    assert 60 < statuses.count(500) < 140


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (504, anthropic.APIStatusError),
        (529, anthropic.InternalServerError),
    ],
)
def test_the_sdk_sees_the_status_and_retry_after(
    provider: Running, client: anthropic.Anthropic, status: int, error: type[Exception]
) -> None:
    provider.simulator.faults.script.append(
        Fault(call=Call.LIST, status=status, retry_after="7", error_code="some_code")
    )
    with pytest.raises(error) as caught:
        client.messages.batches.list()
    assert isinstance(caught.value, anthropic.APIStatusError)
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.error_code == "some_code"
    client.messages.batches.list()


@pytest.mark.parametrize(("cut", "made"), [(Cut.BEFORE, 0), (Cut.AFTER, 1)])
def test_a_lost_answer_leaves_the_batch_made_or_not(
    provider: Running, client: anthropic.Anthropic, cut: Cut, made: int
) -> None:
    provider.simulator.faults.script.append(Fault(call=Call.CREATE, cut=cut))
    with pytest.raises(anthropic.APIConnectionError):
        create(client)
    assert len(list(client.messages.batches.list())) == made


def test_an_error_answer_may_come_although_the_work_is_done(
    provider: Running, client: anthropic.Anthropic
) -> None:
    provider.simulator.faults.script.append(Fault(call=Call.CREATE, status=500, after_effect=True))
    with pytest.raises(anthropic.InternalServerError):
        create(client)
    assert len(list(client.messages.batches.list())) == 1


def test_an_answer_may_come_too_late(provider: Running, client: anthropic.Anthropic) -> None:
    provider.simulator.faults.script.append(Fault(call=Call.LIST, delay_s=2))
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(timeout=0.2).messages.batches.list()


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("cut", [Cut.MID_LINE, Cut.LINE_END])
def test_results_are_cut_where_they_should_be_and_seen_or_not_by_their_framing(
    provider: Running, client: anthropic.Anthropic, cut: Cut, framing: Framing
) -> None:
    batch = create(client, 10)
    provider.clock.advance(61)
    provider.simulator.faults.script.append(
        Fault(call=Call.RESULTS, cut=cut, lines=4, framing=framing)
    )
    head, _, body = raw_results(provider, batch).partition(b"\r\n\r\n")
    head = head.lower()
    assert b"application/x-jsonl" in head
    assert (b"transfer-encoding: chunked" in head) is (framing is Framing.CHUNKED)
    assert (b"content-length" in head) is (framing is Framing.LENGTH)
    assert body.count(b'"custom_id"') == (5 if cut is Cut.MID_LINE else 4)
    if framing is Framing.CHUNKED:
        assert body.endswith(b"\r\n0\r\n\r\n") is (cut is Cut.LINE_END)
    else:
        assert body.endswith(b"\n") is (cut is Cut.LINE_END)
    if framing is Framing.LENGTH:
        announced = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(body) < announced
    assert len(list(client.messages.batches.results(batch))) == 10


def test_whole_results_come_under_every_framing(
    provider: Running, client: anthropic.Anthropic
) -> None:
    batch = create(client, 10)
    provider.clock.advance(61)
    for framing in Framing:
        provider.simulator.faults.script.append(Fault(call=Call.RESULTS, framing=framing))
        assert len(list(client.messages.batches.results(batch))) == 10


def test_faults_and_the_clock_can_be_set_over_http(
    provider: Running, client: anthropic.Anthropic
) -> None:
    url = provider.base_url + "/_simulator/faults"
    status, now = post(url, {"error_rate": 1, "script": [{"call": "list", "status": 529}]})
    assert (status, now["error_rate"]) == (200, 1)
    with pytest.raises(anthropic.APIStatusError):
        client.messages.batches.list()
    batch = create(client)
    assert post(provider.base_url + "/_simulator/clock", {"advance_s": 61})[0] == 200
    assert client.messages.batches.retrieve(batch).request_counts.errored == 3
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert json.load(answer)["script"] == []


@pytest.mark.parametrize(
    "wrong", [{"eror_rate": 1}, {"script": [{"call": "list", "statsu": 1}]}, {"script": 3}, []]
)
def test_a_misspelled_fault_is_an_error_and_not_no_fault(provider: Running, wrong: Any) -> None:
    assert post(provider.base_url + "/_simulator/faults", wrong)[0] == 400


@pytest.mark.parametrize("wrong", [{"advance_s": -1}, {"advance": 1}, []])
def test_the_clock_goes_forward_only(provider: Running, wrong: Any) -> None:
    assert post(provider.base_url + "/_simulator/clock", wrong)[0] == 400
