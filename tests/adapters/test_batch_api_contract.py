"""One suite for both adapters of the Batches API: the SDK over HTTP, and the simulator's core."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.adapters.anthropic_api import AnthropicApi
from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator.server import Clock, running_simulator
from shared.adapters.simulator_api import SimulatorApi
from shared.app.spool import Spool
from shared.domain.bitmap import Bitmap
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

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """A provider, and a way to an API of it."""

    simulator: Simulator
    clock: Clock
    connect: Callable[[], "AsyncApi"]
    folder: Path

    def use(self, work: Callable[[BatchApi], Awaitable[object]]) -> object:
        """Run asynchronous work on the API."""

        async def main() -> object:
            async with self.connect() as api:
                return await work(api)

        return asyncio.run(main())

    async def create(
        self, api: BatchApi, count: int = 2, *, size: int = 10, betas: tuple[str, ...] = ()
    ) -> ProviderBatch:
        """Submit a batch of so many requests."""
        with Spool(self.folder) as spool:
            for number in range(count):
                params = {
                    "model": "claude-opus-4-6",
                    "max_tokens": 300_000 if betas else 100,
                    "messages": [{"role": "user", "content": "x" * size}],
                }
                spool.add(json.dumps({"custom_id": f"r{number}", "params": params}).encode())
            return await api.create(spool.body(Bitmap()), betas=betas)

    def fault(self, call: Call, **how: object) -> None:
        """Let the next call of a kind go wrong."""
        self.simulator.faults.script.append(Fault(call=call, **how))  # type: ignore[arg-type]


AsyncApi = AnthropicApi


@pytest.fixture(params=["sdk", "core"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    settings = SimulatorSettings(duration_s=60)
    if request.param == "core":
        simulator, clock = Simulator(settings=settings), Clock()

        @asynccontextmanager
        async def direct() -> AsyncIterator[SimulatorApi]:
            yield SimulatorApi(simulator, clock.now)

        yield World(simulator, clock, direct, tmp_path)  # type: ignore[arg-type]
        return
    with running_simulator(settings=settings) as running:
        yield World(
            running.simulator,
            running.clock,
            lambda: AnthropicApi(api_key="sk-canary", base_url=running.base_url),
            tmp_path,
        )


async def lines_of(api: BatchApi, provider_id: ProviderId) -> list[bytes]:
    return [line async for lines in api.results(provider_id) for line in lines]


def test_a_batch_is_created_looked_at_and_read(world: World) -> None:
    async def work(api: BatchApi) -> None:
        created = await world.create(api, 3)
        assert created.processing_status is ProcessingStatus.IN_PROGRESS
        assert created.counts.total == 3
        assert created.expires_at - created.created_at == timedelta(hours=24)
        world.clock.advance(61)
        ended = await api.retrieve(created.id)
        assert ended.processing_status is ProcessingStatus.ENDED
        assert ended.counts.succeeded == 3
        found = {json.loads(line)["custom_id"] for line in await lines_of(api, created.id)}
        assert found == {"r0", "r1", "r2"}

    world.use(work)


def test_betas_go_with_the_batch(world: World) -> None:
    async def work(api: BatchApi) -> None:
        created = await world.create(api, betas=("output-300k-2026-03-24",))
        world.clock.advance(61)
        assert (await api.retrieve(created.id)).counts.succeeded == 2

    world.use(work)


def test_the_listing_is_complete_newest_first_and_ends_at_the_time_asked_for(
    world: World,
) -> None:
    async def work(api: BatchApi) -> None:
        old = await world.create(api)
        world.clock.advance(3600)
        new = [(await world.create(api)).id for _ in range(3)]
        everything = [batch.id async for batch in api.created_since(LONG_AGO)]
        assert everything == [*reversed(new), old.id]
        since = old.created_at + timedelta(minutes=30)
        assert [batch.id async for batch in api.created_since(since)] == new[::-1]

    world.use(work)


def test_a_cancel_is_taken(world: World) -> None:
    async def work(api: BatchApi) -> None:
        created = await world.create(api)
        canceling = await api.cancel(created.id)
        assert canceling.processing_status is ProcessingStatus.CANCELING

    world.use(work)


def test_an_unknown_batch_and_early_results_are_not_found(world: World) -> None:
    async def work(api: BatchApi) -> None:
        with pytest.raises(NotFound):
            await api.retrieve(ProviderId("msgbatch_nobody"))
        created = await world.create(api)
        with pytest.raises((NotFound, Unavailable)):
            await lines_of(api, created.id)

    world.use(work)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 400}, Refused),
        ({"status": 413}, Refused),
        ({"status": 401}, Unavailable),
        ({"status": 402}, Unavailable),
        ({"status": 429}, Unavailable),
        ({"status": 529}, Unavailable),
        ({"status": 500}, InDoubt),
        ({"status": 504}, InDoubt),
        ({"cut": Cut.BEFORE}, InDoubt),
        ({"cut": Cut.AFTER}, InDoubt),
    ],
)
def test_each_way_that_create_goes_wrong_is_told_apart_and_called_once(
    world: World, fault: dict[str, object], expected: type[Exception]
) -> None:
    async def work(api: BatchApi) -> None:
        world.fault(Call.CREATE, **fault)
        with pytest.raises(expected) as caught:
            await world.create(api)
        assert "sk-canary" not in str(caught.value)
        assert "\n" not in str(caught.value)

    world.use(work)
    assert world.simulator.calls[Call.CREATE] == 1
    assert len(world.simulator.batches) == (fault.get("cut") is Cut.AFTER)


@pytest.mark.parametrize("status", [429, 500, 504, 529])
def test_a_look_that_fails_for_the_moment_can_be_repeated(world: World, status: int) -> None:
    async def work(api: BatchApi) -> None:
        created = await world.create(api)
        world.fault(Call.RETRIEVE, status=status)
        with pytest.raises(Unavailable):
            await api.retrieve(created.id)
        assert (await api.retrieve(created.id)).id == created.id

    world.use(work)


def test_what_the_server_asks_to_wait_is_passed_on(world: World) -> None:
    async def work(api: BatchApi) -> None:
        world.fault(Call.CREATE, status=429, retry_after="17")
        with pytest.raises(Unavailable) as caught:
            await world.create(api)
        assert caught.value.retry_after == timedelta(seconds=17)
        assert caught.value.reason is PauseReason.RATE_LIMIT

    world.use(work)


@pytest.mark.parametrize("limit", ["tier_limit", "spend_limit"])
def test_spend_limits_wait_for_the_person(world: World, limit: str) -> None:
    async def work(api: BatchApi) -> None:
        setattr(world.simulator.faults, limit, True)
        with pytest.raises(Unavailable) as caught:
            await world.create(api)
        assert caught.value.reason is PauseReason.SPEND_LIMIT

    world.use(work)


def test_a_stream_that_is_cut_gives_its_whole_lines_and_says_so(world: World) -> None:
    async def work(api: BatchApi) -> list[bytes]:
        created = await world.create(api, 10)
        world.clock.advance(61)
        world.fault(Call.RESULTS, cut=Cut.MID_LINE, lines=4)
        seen: list[bytes] = []
        with pytest.raises(Unavailable):  # noqa: PT012 - lines come before the cut
            async for lines in api.results(created.id):
                seen.extend(lines)
        return seen

    seen = world.use(work)
    assert isinstance(seen, list)
    assert all(json.loads(line)["custom_id"] for line in seen)
    assert len(seen) <= 4


def test_a_reader_that_stops_early_leaves_nothing_open(world: World) -> None:
    async def work(api: BatchApi) -> None:
        created = await world.create(api, 50)
        world.clock.advance(61)
        stream = api.results(created.id)
        await anext(stream)
        await stream.aclose()
        assert len(await lines_of(api, created.id)) == 50

    world.use(work)
