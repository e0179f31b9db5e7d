"""What every BatchApi and TokenCounter does: the SDK over HTTP to the simulator, and the simulator
in process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pytest

from shared.adapters.anthropic_api import AnthropicApi
from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault, Faults
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator.server import Clock, serving
from shared.adapters.simulator_api import SimulatorApi
from shared.domain.batch import Counts
from shared.domain.ids import ProviderId
from shared.domain.pause import PauseReason
from shared.ports.batch_api import (
    BatchApi,
    InDoubt,
    NotFound,
    ProcessingStatus,
    ProviderBatch,
    Refused,
    Unavailable,
)
from shared.ports.token_counter import TokenCounter
from tests.adapters.api_server import Content, api

NOBODY = ProviderId("msgbatch_nobody")


def body(*custom_ids: str) -> Content:
    """A create call's body, one small request per id, in several pieces."""
    params = {
        "model": "claude-opus-4-6",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    rows = [msgspec.json.encode({"custom_id": one, "params": params}) for one in custom_ids]
    return Content(pieces=[b'{"requests":[', b",".join(rows), b"]}"])


@dataclass
class Provider:
    """An adapter, and the levers of what is behind it."""

    api: BatchApi
    counter: TokenCounter
    simulator: Simulator
    clock: Clock

    async def create(self, *custom_ids: str) -> ProviderBatch:
        return await self.api.create(body(*custom_ids or ("a", "b")), betas=[])

    async def listed(self, since: datetime) -> list[ProviderId]:
        return [batch.id async for batch in self.api.created_since(since)]

    async def results(self, provider_id: ProviderId) -> list[bytes]:
        return [line async for lines in self.api.results(provider_id) for line in lines]

    def fault(
        self,
        call: Call,
        *,
        status: int | None = None,
        cut: Cut | None = None,
        message: str = "simulated",
        code: str | None = None,
        retry_after: str | None = None,
        lines: int = 0,
    ) -> None:
        """Let the next call of a kind go wrong."""
        self.simulator.faults.script.append(
            Fault(
                call=call,
                status=status,
                cut=cut,
                message=message,
                error_code=code,
                retry_after=retry_after,
                lines=lines,
            )
        )


Trial = Callable[[Provider], Awaitable[None]]
Run = Callable[[Trial], None]


@asynccontextmanager
async def over_http(
    simulator: Simulator, clock: Clock
) -> AsyncIterator[AnthropicApi | SimulatorApi]:
    async with serving(simulator, clock=clock) as url, api(url, page_size=2) as adapter:
        yield adapter


@asynccontextmanager
async def in_process(
    simulator: Simulator, clock: Clock
) -> AsyncIterator[AnthropicApi | SimulatorApi]:
    yield SimulatorApi(simulator, clock.now)


@pytest.fixture(params=[over_http, in_process])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a trial on a fresh provider whose batches take a minute."""

    def run_trial(trial: Trial) -> None:
        async def main() -> None:
            simulator = Simulator(
                seed=1, settings=SimulatorSettings(duration_s=60), faults=Faults()
            )
            clock = Clock()
            async with asyncio.timeout(30), request.param(simulator, clock) as adapter:
                await trial(Provider(adapter, adapter, simulator, clock))

        asyncio.run(main())

    return run_trial


def test_a_batch_lives_from_create_to_its_results(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = await provider.create("a", "b", "c")
        assert made.processing_status is ProcessingStatus.IN_PROGRESS
        assert made.counts == Counts(processing=3)
        assert made.expires_at - made.created_at == timedelta(hours=24)
        assert (made.ended_at, made.results_url) == (None, None)
        assert await provider.api.retrieve(made.id) == made
        provider.clock.advance(61)
        ended = await provider.api.retrieve(made.id)
        assert ended.processing_status is ProcessingStatus.ENDED
        assert ended.counts == Counts(succeeded=3)
        assert ended.ended_at is not None
        assert ended.ended_at.tzinfo is not None
        lines = await provider.results(made.id)
        assert sorted(msgspec.json.decode(line)["custom_id"] for line in lines) == ["a", "b", "c"]
        assert not any(line.endswith(b"\n") for line in lines)

    run(trial)


def test_a_canceled_batch_ends(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = await provider.create()
        canceling = await provider.api.cancel(made.id)
        assert canceling.processing_status is ProcessingStatus.CANCELING
        provider.clock.advance(1)
        ended = await provider.api.retrieve(made.id)
        assert ended.processing_status is ProcessingStatus.ENDED
        assert ended.counts.total == 2

    run(trial)


def test_betas_reach_the_provider(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        params = {"model": "claude-opus-4-6", "max_tokens": 300_000}
        params |= {"messages": [{"role": "user", "content": "Hi"}]}
        large = msgspec.json.encode({"requests": [{"custom_id": "a", "params": params}]})
        for betas in ([], ["other-2026-01-01", "output-300k-2026-03-24"]):
            made = await provider.api.create(Content(pieces=[large]), betas=betas)
            provider.clock.advance(61)
            ended = await provider.api.retrieve(made.id)
            assert ended.counts == (Counts(succeeded=1) if betas else Counts(errored=1))

    run(trial)


def test_the_same_body_can_be_sent_again(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        again = body("a")
        provider.fault(Call.CREATE, status=529)
        with pytest.raises(Unavailable):
            await provider.api.create(again, betas=[])
        assert (await provider.api.create(again, betas=[])).counts.total == 1

    run(trial)


def test_listings_go_over_all_pages_newest_first_down_to_the_time_asked_for(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = []
        for _ in range(5):
            made.append(await provider.create())
            provider.clock.advance(1)
        ids = [batch.id for batch in reversed(made)]
        assert await provider.listed(made[0].created_at) == ids
        assert await provider.listed(made[2].created_at) == ids[:3]
        assert await provider.listed(provider.clock.now()) == []

    run(trial)


def test_a_listing_can_be_left_early(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = [await provider.create() for _ in range(3)]
        async for batch in provider.api.created_since(made[0].created_at):
            assert batch.id == made[-1].id
            break

    run(trial)


def test_what_is_not_there_is_not_found(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        with pytest.raises(NotFound):
            await provider.api.retrieve(NOBODY)
        with pytest.raises(NotFound):
            await provider.api.cancel(NOBODY)
        with pytest.raises(NotFound):
            await provider.results(NOBODY)
        made = await provider.create()
        with pytest.raises(NotFound, match="has no available results"):
            await provider.results(made.id)

    run(trial)


def test_what_the_provider_finds_wrong_is_refused_with_its_type_and_message(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        with pytest.raises(Refused, match="unique within a batch") as caught:
            await provider.create("same", "same")
        assert caught.value.type == "invalid_request_error"
        for status, kind in ((400, "invalid_request_error"), (413, "request_too_large")):
            provider.fault(Call.CREATE, status=status)
            with pytest.raises(Refused) as caught:
                await provider.create()
            assert caught.value.type == kind
        assert provider.simulator.batches == {}

    run(trial)


@pytest.mark.parametrize(
    ("status", "code", "message", "reason"),
    [
        (401, None, "", PauseReason.ACCESS),
        (403, None, "", PauseReason.ACCESS),
        (402, None, "", PauseReason.SPEND_LIMIT),
        (400, None, "You have reached your specified API usage limits.", PauseReason.SPEND_LIMIT),
        (429, None, "", PauseReason.RATE_LIMIT),
        (429, "enforced_spend_limit_reached", "", PauseReason.SPEND_LIMIT),
        (529, None, "", PauseReason.OVERLOADED),
    ],
)
def test_a_create_that_may_succeed_later_says_why_and_when(
    run: Run, status: int, code: str | None, message: str, reason: PauseReason
) -> None:
    async def trial(provider: Provider) -> None:
        provider.fault(
            Call.CREATE, status=status, code=code, message=message or "no", retry_after="30"
        )
        with pytest.raises(Unavailable) as caught:
            await provider.create()
        assert (caught.value.reason, caught.value.retry_after) == (reason, timedelta(seconds=30))
        assert provider.simulator.batches == {}
        assert provider.simulator.calls == {Call.CREATE: 1}

    run(trial)


@pytest.mark.parametrize(("cut", "made"), [(Cut.BEFORE, 0), (Cut.AFTER, 1)])
def test_a_create_without_an_answer_is_in_doubt_whether_it_was_done_or_not(
    run: Run, cut: Cut, made: int
) -> None:
    async def trial(provider: Provider) -> None:
        assert await provider.listed(provider.clock.now()) == []  # leaves a connection to be used
        provider.fault(Call.CREATE, cut=cut)
        with pytest.raises(InDoubt):
            await provider.create()
        assert len(provider.simulator.batches) == made
        assert provider.simulator.calls == {Call.LIST: 1, Call.CREATE: 1}

    run(trial)


@pytest.mark.parametrize("status", [500, 504])
def test_a_create_that_ends_in_server_trouble_is_in_doubt(run: Run, status: int) -> None:
    async def trial(provider: Provider) -> None:
        provider.fault(Call.CREATE, status=status)
        with pytest.raises(InDoubt):
            await provider.create()
        assert provider.simulator.calls == {Call.CREATE: 1}

    run(trial)


@pytest.mark.parametrize("how", [{"status": 500}, {"cut": Cut.BEFORE}, {"cut": Cut.AFTER}])
def test_other_calls_without_a_telling_answer_are_unavailable(
    run: Run, how: dict[str, object]
) -> None:
    async def trial(provider: Provider) -> None:
        made = await provider.create()
        uses: dict[Call, Callable[[], Awaitable[object]]] = {
            Call.RETRIEVE: lambda: provider.api.retrieve(made.id),
            Call.CANCEL: lambda: provider.api.cancel(made.id),
            Call.LIST: lambda: provider.listed(made.created_at),
            Call.RESULTS: lambda: provider.results(made.id),
        }
        for call, use in uses.items():
            for _ in range(2):  # aiohttp itself repeats a GET whose kept connection breaks
                provider.fault(call, **how)  # type: ignore[arg-type]
            with pytest.raises(Unavailable) as caught:
                await use()
            provider.simulator.faults.script.clear()
            assert caught.value.reason is PauseReason.UNREACHABLE

    run(trial)


def test_a_stream_cut_in_mid_line_gives_its_whole_lines_and_then_fails(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = await provider.create(*(f"r{n}" for n in range(10)))
        provider.clock.advance(61)
        whole = await provider.results(made.id)
        provider.fault(Call.RESULTS, cut=Cut.MID_LINE, lines=6)
        found: list[bytes] = []
        with pytest.raises(Unavailable):  # noqa: PT012 - lines come before the cut
            async for lines in provider.api.results(made.id):
                found += lines
        assert found == whole[:6]

    run(trial)


def test_a_stream_that_ends_too_soon_at_a_line_end_can_not_be_seen(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = await provider.create(*(f"r{n}" for n in range(10)))
        provider.clock.advance(61)
        provider.fault(Call.RESULTS, cut=Cut.LINE_END, lines=6)
        assert len(await provider.results(made.id)) == 6

    run(trial)


def test_results_can_be_left_early(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        made = await provider.create(*(f"r{n}" for n in range(300)))
        provider.clock.advance(61)
        stream = provider.api.results(made.id)
        async with aclosing(stream):
            assert await anext(stream)
        assert len(await provider.results(made.id)) == 300

    run(trial)


PARAMS = {
    "model": "claude-opus-4-6",
    "max_tokens": 100,
    "system": "s" * 400,
    "messages": [{"role": "user", "content": "x" * 4000}],
    "inference_geo": "us",
}


def test_tokens_are_counted_without_anything_being_created(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        tokens = await provider.counter.count_tokens(PARAMS)
        assert 1000 < tokens < 1200
        assert provider.simulator.calls == {Call.COUNT_TOKENS: 1}
        assert provider.simulator.batches == {}
        made = await provider.create()
        provider.clock.advance(61)
        lines = await provider.results(made.id)
        used = msgspec.json.decode(lines[0])["result"]["message"]["usage"]["input_tokens"]
        small = {"model": "claude-opus-4-6", "messages": [{"role": "user", "content": "Hi"}]}
        assert await provider.counter.count_tokens(small) == used

    run(trial)


def test_a_prompt_that_is_not_counted_is_refused_or_unavailable_like_other_calls(run: Run) -> None:
    async def trial(provider: Provider) -> None:
        with pytest.raises(Refused) as caught:
            await provider.counter.count_tokens(PARAMS | {"model": "claude-none"})
        assert caught.value.type == "not_found_error"
        with pytest.raises(Refused) as caught:
            await provider.counter.count_tokens(PARAMS | {"system": "s" * 32_000_001})
        assert caught.value.type == "request_too_large"
        for how, reason in (
            ({"status": 401}, PauseReason.ACCESS),
            ({"status": 429}, PauseReason.RATE_LIMIT),
            ({"status": 529}, PauseReason.OVERLOADED),
            ({"status": 500}, PauseReason.UNREACHABLE),
            ({"cut": Cut.AFTER}, PauseReason.UNREACHABLE),
        ):
            provider.fault(Call.COUNT_TOKENS, **how)
            with pytest.raises(Unavailable) as failed:
                await provider.counter.count_tokens(PARAMS)
            assert failed.value.reason is reason

    run(trial)
