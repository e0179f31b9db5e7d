"""The provider as one run has it: calls that fail, answers that are lost, effects that come late,
streams that are cut, batches that go wrong."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import msgspec
from msgspec import structs

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.faults import Fault as Scripted
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator_api import SimulatorApi
from shared.domain.ids import ProviderId
from shared.ports.batch_api import ApiError, Body, InDoubt, ProviderBatch
from tests.world.gate import Gate, Stage
from tests.world.weather import (
    API_FAULTS,
    BATCH_FAULTS,
    CREATE_FAULTS,
    RESULTS_FAULTS,
    ROW_FAULTS,
    Fault,
)

_ERRORS = ("api_error", "overloaded_error", "invalid_request_error", "not_found_error")
_DURATIONS = (0.5, 5.0, 60.0, 600.0)
_HOURS = (2.0, 20.0, 40.0)
_HELLO = {"role": "user", "content": "Hello"}


@dataclass(slots=True, kw_only=True)
class Provider:
    """The one workspace that all runs share; `odd` is what is wrong with the results of which
    batch. `coming` are effects that are under way: when, and the body."""

    simulator: Simulator
    stage: Stage
    odd: dict[str, set[Fault]] = field(default_factory=dict)
    strangers: int = 0
    coming: list[tuple[datetime, bytes]] = field(default_factory=list)

    def take(self, content: bytes) -> None:
        """A batch was created just now."""
        taken = self.stage.ledger.take(content)
        self.stage.story.batch(taken[0].ours)
        self.stage.rules.accepted(taken)

    def prepare(self) -> set[Fault]:
        """Decide what the next batch will be like."""
        weather, faults = self.stage.weather, self.simulator.faults
        rng = weather.rng
        struck = {fault for fault in ROW_FAULTS if weather.strikes(fault)}
        duration = rng.choice(_DURATIONS)
        if Fault.SLOW_BATCH in struck:
            duration = 3600 * rng.choice(_HOURS)
        self.simulator.settings = _settings(duration)
        faults.error_rate = rng.choice((0.3, 1.0)) if Fault.ROWS_ERRORED in struck else 0.0
        faults.error_type = rng.choice(_ERRORS)
        faults.expire_rate = 0.5 if Fault.ROWS_EXPIRED in struck else 0.0
        odd = 0.2 if Fault.ROWS_ODD in struck else 0.0
        faults.refuse_rate = faults.pause_rate = faults.overflow_rate = odd
        faults.truncate_rate = rng.choice((0.3, 1.0)) if Fault.ROWS_CUT_OFF in struck else 0.0
        faults.invalid_rate = odd
        return struck

    def stranger(self, size: int) -> None:
        """Another program's batch."""
        self.strangers += 1
        ids = [f"other-{self.strangers}-{number}" for number in range(size)]
        params = {"model": "claude-opus-4-6", "max_tokens": 9, "messages": [_HELLO]}
        requests = [{"custom_id": custom_id, "params": params} for custom_id in ids]
        self.simulator.faults.script.clear()
        content = msgspec.json.encode({"requests": requests})
        created = _send(SimulatorApi(self.simulator, self.stage.clock), content)
        self.stage.story.tell(
            self.stage.clock(), "stranger", "created", created, f"{size} requests"
        )

    def arrive(self) -> None:
        """Let effects happen whose time has come."""
        now = self.stage.clock()
        for due, content in list(self.coming):
            if due > now:
                continue
            self.coming.remove((due, content))
            self.simulator.faults.script.clear()
            created = _send(SimulatorApi(self.simulator, partial(_same, due)), content)
            self.stage.story.tell(due, "provider", "took a late create", created or "refused")
            if created is not None:
                self.take(content)


def _same(moment: datetime) -> datetime:
    """A clock that stands still."""
    return moment


_MADE: dict[float, SimulatorSettings] = {}


def _settings(duration: float) -> SimulatorSettings:
    return _MADE.setdefault(duration, SimulatorSettings(duration_s=duration))


@dataclass(slots=True)
class _Bytes:
    """A body that is in memory."""

    content: bytes

    @property
    def length(self) -> int:
        return len(self.content)

    def chunks(self) -> "list[bytes]":
        return [self.content]


def _send(api: SimulatorApi, content: bytes) -> ProviderId | None:
    coroutine = api.create(_Bytes(content), betas=())  # type: ignore[arg-type]  # a list can be iterated too
    try:
        coroutine.send(None)
    except StopIteration as done:
        batch: ProviderBatch = done.value
        return batch.id
    except ApiError:
        return None
    raise AssertionError("the simulator waits for something")


@dataclass(slots=True, kw_only=True)
class FaultyApi:
    """`shared.ports.batch_api.BatchApi` for one run."""

    inner: SimulatorApi
    provider: Provider
    gate: Gate

    async def ready(self) -> None:
        await self.inner.ready()

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        content = b"".join(body.chunks())
        fault = self._enter("create", CREATE_FAULTS, content)
        if fault is Fault.CREATE_LATE:
            weather = self.gate.stage.weather
            due = self.gate.stage.clock() + weather.late * weather.rng.random()
            self.provider.coming.append((due, content))
            self.gate.tell("api.create", "taken at", due, fault=fault)
            raise InDoubt("no answer in time")
        self._script(Call.CREATE, fault)
        struck = self.provider.prepare()
        simulator = self.provider.simulator
        before = simulator.created
        try:
            created = await self.inner.create(body, betas=betas)
        except ApiError as error:
            if simulator.created > before:
                self._took(content, struck)
            self._failed("create", error)
            raise
        self._took(content, struck)
        if fault is Fault.CRASH_AFTER:
            self.gate.crash(fault, "api.create", created.id)
        self.gate.tell("api.create", "→", created.id)
        return created

    def _took(self, content: bytes, struck: set[Fault]) -> None:
        self.provider.take(content)
        self.provider.odd[next(reversed(self.provider.simulator.batches))] = struck

    async def retrieve(self, provider_id: ProviderId) -> ProviderBatch:
        await asyncio.sleep(0)
        fault = self._enter("retrieve", BATCH_FAULTS, provider_id)
        self._script(Call.RETRIEVE, fault)
        try:
            found = await self.inner.retrieve(provider_id)
        except ApiError as error:
            self._failed("retrieve", error)
            raise
        ended = found.ended_at is not None
        if ended and Fault.WRONG_COUNTS in self.provider.odd.get(provider_id, ()):
            counts = structs.replace(found.counts, succeeded=found.counts.succeeded + 1)
            found = replace(found, counts=counts)
        self._leave("retrieve", fault, provider_id, "→", found.processing_status)
        return found

    async def cancel(self, provider_id: ProviderId) -> ProviderBatch:
        fault = self._enter("cancel", BATCH_FAULTS, provider_id)
        self._script(Call.CANCEL, fault)
        try:
            found = await self.inner.cancel(provider_id)
        except ApiError as error:
            self._failed("cancel", error)
            raise
        self._leave("cancel", fault, provider_id, "→", found.processing_status)
        return found

    async def created_since(self, since: datetime) -> AsyncGenerator[ProviderBatch, None]:
        fault = self._enter("created_since", API_FAULTS, since)
        self._script(Call.LIST, fault)
        found: list[str] = []
        try:
            async with aclosing(self.inner.created_since(since)) as listing:
                async for batch in listing:
                    found.append(batch.id)
                    yield batch
        except ApiError as error:
            self._failed("created_since", error)
            raise
        self._leave("created_since", fault, since, "→", found)

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        fault = self._enter("results", RESULTS_FAULTS, provider_id)
        self._script(Call.RESULTS, fault)
        faults = self.provider.simulator.faults
        odd = self.provider.odd.get(provider_id, ())
        faults.duplicate_lines = 2 if Fault.LINES_TWICE in odd else 0
        # A line of nobody's that stands in for the only one can't be told from a stranger's.
        several = len(self.provider.simulator.batches[provider_id].rows) > 1
        strange = 1 if several and Fault.LINES_STRANGE in odd else 0
        faults.malformed_lines = faults.stray_lines = strange
        faults.lost_lines = 1 if Fault.LINES_LOST in odd else 0
        lines: list[bytes] = []
        trouble: ApiError | None = None
        try:
            async with aclosing(self.inner.results(provider_id)) as stream:
                async for some in stream:
                    lines += some
        except ApiError as error:
            trouble = error
        self._leave("results", fault, provider_id, "→", f"{len(lines)} lines", trouble or "")
        for start in range(0, len(lines), 2):
            if start:
                self._leave("results", self._enter("results", API_FAULTS, "more"), "more")
            yield lines[start : start + 2]
        if trouble is not None:
            raise trouble

    def _enter(self, call: str, faults: tuple[Fault, ...], *about: object) -> Fault | None:
        fault = self.gate.enter(f"api.{call}", faults, *about)
        self.provider.arrive()  # the clock may have leapt since, in the middle of a run
        return fault

    def _leave(self, call: str, fault: Fault | None, *about: object) -> None:
        if fault is Fault.CRASH_AFTER:
            self.gate.crash(fault, f"api.{call}", *about)
        self.gate.tell(f"api.{call}", *about, fault=fault or "")

    def _failed(self, call: str, error: ApiError) -> None:
        self.gate.tell(f"api.{call}", fault=f"{type(error).__name__}: {error.message}")

    def _script(self, call: Call, fault: Fault | None) -> None:
        rng = self.gate.stage.weather.rng
        script = self.provider.simulator.faults.script
        script.clear()
        match fault:
            case Fault.CREATE_UNSENT:
                script.append(Scripted(call=call, cut=Cut.BEFORE))
            case Fault.CREATE_LOST:
                script.append(Scripted(call=call, cut=Cut.AFTER))
            case Fault.CREATE_500:
                script.append(Scripted(call=call, status=500, after_effect=rng.random() < 0.5))
            case Fault.CREATE_BUSY:
                wait = rng.choice((None, "20", "300"))
                status = rng.choice((429, 529))
                script.append(Scripted(call=call, status=status, retry_after=wait))
            case Fault.CREATE_REFUSED:
                script.append(Scripted(call=call, status=400))
            case Fault.CREATE_OUTSIZED:
                script.append(Scripted(call=call, status=413))
            case Fault.CREATE_KEY:
                script.append(Scripted(call=call, status=401))
            case Fault.API_404:
                script.append(Scripted(call=call, status=404))
            case Fault.API_DOWN:
                cut = rng.choice((Cut.BEFORE, Cut.AFTER, None))
                script.append(Scripted(call=call, cut=cut, status=None if cut else 529))
            case Fault.CUT_IN_LINE:
                script.append(Scripted(call=call, cut=Cut.MID_LINE, lines=rng.randrange(4)))
            case Fault.CUT_AT_LINE:
                script.append(Scripted(call=call, cut=Cut.LINE_END, lines=rng.randrange(4)))
