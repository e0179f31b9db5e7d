"""The official SDK's own clients against the simulator, unchanged."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic, DefaultAioHttpClient

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator


def request(custom_id: str, **params: Any) -> Any:
    fields = {
        "model": "claude-opus-4-6",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hi\n## Risks\n"}],
    }
    return {"custom_id": custom_id, "params": {**fields, **params}}


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=60)) as running:
        yield running


@pytest.fixture
def client(provider: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="sk-test", base_url=provider.base_url, max_retries=0, timeout=20
    ) as made:
        yield made


def test_every_method_of_the_client_works(provider: Running, client: anthropic.Anthropic) -> None:
    batches = client.messages.batches
    created = batches.create(requests=[request("a"), request("b")])
    assert created.processing_status == "in_progress"
    assert created.request_counts.processing == 2
    assert (created.expires_at - created.created_at).total_seconds() == 86_400
    provider.clock.advance(61)
    found = batches.retrieve(created.id)
    assert (found.processing_status, found.request_counts.succeeded) == ("ended", 2)
    results = {line.custom_id: line.result for line in batches.results(created.id)}
    assert set(results) == {"a", "b"}
    answer = results["a"]
    assert answer.type == "succeeded"
    block = answer.message.content[0]
    assert block.type == "text"
    assert "Placeholder" in block.text
    assert "## Risks" in block.text
    assert batches.delete(created.id).id == created.id
    assert list(batches.list()) == []


def test_listings_are_newest_first_and_paged(client: anthropic.Anthropic) -> None:
    made = [client.messages.batches.create(requests=[request("a")]).id for _ in range(5)]
    page = client.messages.batches.list(limit=2)
    assert page.has_more
    assert [batch.id for batch in page.data] == made[:2:-1]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == made[::-1]
    before = client.messages.batches.list(limit=2, before_id=made[0])
    assert {batch.id for batch in before.data} <= set(made[1:])


def test_a_canceled_batch_ends_with_what_was_finished(
    provider: Running, client: anthropic.Anthropic
) -> None:
    created = client.messages.batches.create(requests=[request(f"r{n}") for n in range(50)])
    provider.clock.advance(30)
    assert client.messages.batches.cancel(created.id).processing_status == "canceling"
    provider.clock.advance(1)
    ended = client.messages.batches.retrieve(created.id)
    assert ended.processing_status == "ended"
    assert ended.request_counts.succeeded > 0
    assert ended.request_counts.canceled > 0
    assert ended.request_counts.succeeded + ended.request_counts.canceled == 50


def test_deleting_what_is_in_progress_is_refused(client: anthropic.Anthropic) -> None:
    created = client.messages.batches.create(requests=[request("a")])
    with pytest.raises(anthropic.BadRequestError, match="In progress batches cannot be deleted"):
        client.messages.batches.delete(created.id)


def test_results_before_the_end_and_unknown_batches_are_not_found(
    client: anthropic.Anthropic,
) -> None:
    with pytest.raises(anthropic.NotFoundError, match="Message Batch msgbatch_x not found"):
        client.messages.batches.retrieve("msgbatch_x")


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "List should have at least 1 item"),
        ([request("a"), request("a")], "Duplicate custom_id found: a"),
        ([request("a" * 65)], "requests.0.custom_id: String should have at most 64 characters"),
        ([request("a b")], "should match pattern"),
        ([{"params": {}}], "requests.0.custom_id: Field required"),
    ],
)
def test_a_batch_is_checked_at_once(
    client: anthropic.Anthropic, requests: list[Any], message: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=message):
        client.messages.batches.create(requests=requests)


@pytest.mark.parametrize(
    ("params", "type_"),
    [
        ({"max_tokens": 300_000}, "invalid_request_error"),
        ({"model": "claude-nobody"}, "not_found_error"),
        ({"temperature": 1.0}, "invalid_request_error"),
        ({"messages": []}, "invalid_request_error"),
        ({"stream": True}, "invalid_request_error"),
    ],
)
def test_params_are_checked_row_by_row_at_the_end(
    provider: Running, client: anthropic.Anthropic, params: dict[str, Any], type_: str
) -> None:
    created = client.messages.batches.create(requests=[request("bad", **params), request("good")])
    provider.clock.advance(61)
    results = {line.custom_id: line.result for line in client.messages.batches.results(created.id)}
    bad = results["bad"]
    assert bad.type == "errored"
    assert bad.error.error.type == type_
    assert results["good"].type == "succeeded"


def test_the_beta_header_allows_long_answers(
    provider: Running, client: anthropic.Anthropic
) -> None:
    batches = client.beta.messages.batches
    created = batches.create(
        requests=[request("long", max_tokens=300_000)], betas=["output-300k-2026-03-24"]
    )
    provider.clock.advance(61)
    assert next(iter(batches.results(created.id))).result.type == "succeeded"


def test_what_is_not_finished_in_a_day_expires(client: anthropic.Anthropic) -> None:
    with (
        running_simulator(settings=SimulatorSettings(duration_s=200_000)) as slow,
        anthropic.Anthropic(api_key="k", base_url=slow.base_url, max_retries=0) as other,
    ):
        created = other.messages.batches.create(requests=[request(f"r{n}") for n in range(40)])
        slow.clock.advance(86_401)
        counts = other.messages.batches.retrieve(created.id).request_counts
        assert counts.expired > 0
        assert counts.expired + counts.succeeded == 40


def test_a_wrong_key_is_refused() -> None:
    with (
        running_simulator(settings=SimulatorSettings(keys=("right",))) as strict,
        anthropic.Anthropic(api_key="wrong", base_url=strict.base_url, max_retries=0) as other,
        pytest.raises(anthropic.AuthenticationError),
    ):
        other.messages.batches.list()


def test_the_async_client_over_aiohttp_works(provider: Running) -> None:
    async def use() -> int:
        async with AsyncAnthropic(
            api_key="k", base_url=provider.base_url, http_client=DefaultAioHttpClient()
        ) as client:
            created = await client.messages.batches.create(requests=[request("a")])
            provider.clock.advance(61)
            lines = await client.messages.batches.results(created.id)
            return len([line async for line in lines])

    assert asyncio.run(use()) == 1


def test_every_method_of_the_async_client_works_over_aiohttp(provider: Running) -> None:
    async def use() -> None:
        async with AsyncAnthropic(
            api_key="k",
            base_url=provider.base_url,
            max_retries=0,
            http_client=DefaultAioHttpClient(),
        ) as client:
            batches = client.messages.batches
            made = [(await batches.create(requests=[request("a")])).id for _ in range(3)]
            assert [batch.id async for batch in batches.list(limit=1)] == made[::-1]
            assert (await batches.cancel(made[0])).processing_status == "canceling"
            provider.clock.advance(61)
            assert (await batches.retrieve(made[1])).request_counts.succeeded == 1
            assert len([line async for line in await batches.results(made[1])]) == 1
            assert (await batches.delete(made[1])).type == "message_batch_deleted"

    asyncio.run(asyncio.wait_for(use(), 30))


def test_every_method_of_the_beta_client_works(
    provider: Running, client: anthropic.Anthropic
) -> None:
    batches = client.beta.messages.batches
    made = [batches.create(requests=[request("a")]).id for _ in range(3)]
    assert [batch.id for batch in batches.list(limit=2)] == made[::-1]
    assert batches.cancel(made[0]).processing_status == "canceling"
    provider.clock.advance(61)
    assert batches.retrieve(made[1]).request_counts.succeeded == 1
    assert len(list(batches.results(made[1]))) == 1
    assert batches.delete(made[1]).type == "message_batch_deleted"
