"""A day in fast motion: uploads over 24 hours, every timer at its time, 2 % of everything failing.

The use cases are the real ones, with the real SQLite store (in a file) and the simulator's core;
time passes when the next minute is due. What AWS does (queues, timers) is done here by hand.
"""

import asyncio
import random
import time
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from shared.adapters.builtin import catalog
from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault, Faults
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator_api import SimulatorApi
from shared.adapters.sqlite_store import SqliteStore
from shared.app.collect import Collected, collect
from shared.app.deps import Deps
from shared.app.intake import take_in
from shared.app.poll import poll
from shared.app.publish import publish_if_due
from shared.app.reconcile import reconcile
from shared.app.sightings import sightings_of
from shared.app.submit import submit
from shared.domain.batch import LIVE, BatchStatus
from shared.domain.ids import BatchId, JobName, ProviderId, batch_id
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from shared.ports.blobs import BlobError
from shared.ports.store import StaleWrite, Store, StoreUnavailable
from shared.wiring.conversion import converter
from tests.faults.day_world import (
    RATE,
    Books,
    CountedApi,
    CountedReports,
    MadeDocuments,
    Throttled,
    Trouble,
    path_of,
)
from tests.one_recipe import one_recipe

JOB = JobName("day")
START = datetime.fromisoformat("2026-11-24T00:00:00+00:00")
MINUTE = timedelta(minutes=1)
_UPLOADS_FOR = 24 * 60
_PER_MESSAGE = 100
_AT_MOST = 14 * 24 * 60
_SUBMIT_EVERY = 10
_RECONCILE_EVERY = 5
"""Minutes, as in infra/template.yaml."""

_RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
max_wait: {max_wait}
---
Review this.

{{ document.text }}
"""
_DURATIONS_S = ((0.90, 60.0, 2_400.0), (0.975, 3_600.0, 20_000.0), (0.995, 40_000.0, 80_000.0))
"""Share of batches, and how long they take: of the rest, more than the 24 hours they have."""


@dataclass(kw_only=True)
class Day:
    """One day; `minutes` is how long it took until nothing was open."""

    documents: int
    groups: int
    folder: Path
    seed: int = 1
    max_wait: str = "1h"
    max_requests: int = 2_000
    now: datetime = START
    minutes: int = 0
    seconds: float = 0.0
    steps: Counter[str] = field(default_factory=Counter)
    escaped: Counter[str] = field(default_factory=Counter)
    queue: list[BatchId] = field(default_factory=list)
    uploads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.trouble = Trouble(draw=random.Random(self.seed + 1))
        self.simulator = Simulator(seed=self.seed, faults=_faults())
        text = _RECIPE.replace("{max_wait}", self.max_wait)
        self.recipe = parse_recipe(text, name="recipe.md", catalog=catalog())
        self.store = SqliteStore(self.folder / "state.db")
        zeros = bytes(self.documents * array("H").itemsize)
        self.reports = CountedReports(trouble=self.trouble, written=array("H", zeros))
        self.books = Books(
            simulator=self.simulator, taken=array("H", zeros), paid=array("H", zeros)
        )
        self.api = CountedApi(inner=SimulatorApi(self.simulator, lambda: self.now))
        self.deps = Deps(
            documents=MadeDocuments(trouble=self.trouble),
            reports=self.reports,
            store=cast("Store", Throttled(self.store, self.trouble)),
            api=self.api,
            recipe=one_recipe(lambda: self.recipe),
            catalog=catalog(),
            clock=lambda: self.now,
            new_batch_id=lambda: batch_id(self.draw.getrandbits(60)),
            spool_dir=self.folder,
            converter=converter(),
            policy=Policy(max_batch_requests=self.max_requests, reports_by_job=True),
            emit=self._emit,
        )

    def _emit(self, event: str, /, **facts: object) -> None:
        self.steps[event] += 1

    def run(self) -> None:
        """Let the day pass, and as much of the next ones as it takes to settle everything."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        begun = time.monotonic()
        coming = self._coming()
        for minute in range(_AT_MOST):
            self.now = START + minute * MINUTE
            self.trouble.calm = minute > 2 * _UPLOADS_FOR
            await self._minute(minute, coming)
            if minute >= _UPLOADS_FOR and minute % _SUBMIT_EVERY == 0 and self._is_over():
                self.minutes = minute
                self.seconds = time.monotonic() - begun
                return
        raise AssertionError(f"something is open after {_AT_MOST} minutes: {self.escaped}")

    def _coming(self) -> Iterator[list[int]]:
        """The uploads of each minute: in bursts, some twice, some late."""
        order = list(range(self.documents))
        self.draw.shuffle(order)
        per_burst = -(-self.documents // (_UPLOADS_FOR // _RECONCILE_EVERY))
        late: list[int] = []
        for minute in range(_UPLOADS_FOR):
            burst: list[int] = []
            if minute % _RECONCILE_EVERY == 0:
                burst, order = late + order[:per_burst], order[per_burst:]
                late = [n for n in burst if self.trouble.strikes("event: late or twice")]
            yield burst
        yield late + order

    async def _minute(self, minute: int, coming: Iterator[list[int]]) -> None:
        self.uploads += next(coming, [])
        numbers, self.uploads = self.uploads, []
        for at in range(0, len(numbers), _PER_MESSAGE):
            await self._step("intake", partial(self._take_in, numbers[at : at + _PER_MESSAGE]))
        if minute % _SUBMIT_EVERY == 0:
            self._next_batches()
            await self._step("submit", partial(submit, self.deps))
        await self._step("poll", self._poll)
        if minute % _RECONCILE_EVERY == 0:
            await self._step("reconcile", self._reconcile)
        queue, self.queue = self.queue, []
        for batch in queue:
            await self._step("collect", partial(self._collect, batch))
            self._close_books(batch)

    async def _step(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        self.steps[name] += 1
        self.trouble.begin()
        try:
            await work()
        except (StoreUnavailable, BlobError, StaleWrite) as error:
            self.escaped[f"{name}: {type(error).__name__}"] += 1

    async def _take_in(self, numbers: list[int]) -> None:
        """What fails comes again, with what comes next."""
        blobs = self.deps.documents
        found = (blobs.stat(path_of(number, self.groups)) for number in numbers)
        seen = (s for b in found for s in sightings_of(blobs, b, b.key, recipe=self.recipe))
        self.uploads += numbers
        take_in(self.deps, JOB, seen)
        del self.uploads[-len(numbers) :]

    def _next_batches(self) -> None:
        share = self.draw.random()
        least, most = next(((a, b) for to, a, b in _DURATIONS_S if share < to), (100_000, 100_000))
        self.simulator.settings = SimulatorSettings(duration_s=self.draw.uniform(least, most))

    async def _poll(self) -> None:
        self._ask_to_collect((await poll(self.deps)).ended)

    async def _reconcile(self) -> None:
        self._ask_to_collect((await reconcile(self.deps)).to_collect)
        for job in list(self.deps.store.stale_jobs()):
            publish_if_due(self.deps, job)

    def _ask_to_collect(self, batches: tuple[BatchId, ...]) -> None:
        for batch in batches:
            if not self.trouble.strikes("queue: message lost"):
                self.queue.append(batch)
            if self.trouble.strikes("queue: message twice"):
                self.queue.append(batch)

    async def _collect(self, batch: BatchId) -> None:
        outcome = await collect(self.deps, batch)
        self.steps[f"collect: {outcome.value}"] += 1
        if outcome is Collected.UNFINISHED:
            self.queue.append(batch)

    def _close_books(self, name: BatchId) -> None:
        batch = self.store.batch(name)
        if batch is not None and batch.status is BatchStatus.COLLECTED and batch.provider_id:
            self.books.close(self.simulator.batches[batch.provider_id], self.now)

    def _is_over(self) -> bool:
        far = self.now + timedelta(days=3650)
        live = any(self.store.due(status, now=far, limit=1) for status in LIVE)
        stale = any(True for _ in self.store.stale_jobs())
        open_groups = any(True for _ in self.store.groups())
        return not (live or stale or open_groups or self.uploads)

    def lives(self) -> dict[ProviderId, timedelta]:
        """How long each batch was looked at, at most."""
        return {
            batch.provider_id: (batch.ended_at or self.now) - batch.created_at
            for batch in self.store.batches(JOB)
            if batch.status is BatchStatus.COLLECTED and batch.provider_id and batch.created_at
        }


def _faults() -> Faults:
    """2 % of calls and of rows; several faults of one call share its draw, so their rates add up
    to it."""
    half = RATE / 2
    always: list[tuple[Call, dict[str, Any]]] = [
        (Call.CREATE, {"rate": RATE / 4, "cut": Cut.AFTER}),
        (Call.CREATE, {"rate": RATE / 2, "cut": Cut.BEFORE}),
        (Call.CREATE, {"rate": RATE * 3 / 4, "status": 500, "after_effect": True}),
        (Call.CREATE, {"rate": RATE, "status": 529}),
        (Call.RETRIEVE, {"rate": half, "status": 500}),
        (Call.RETRIEVE, {"rate": RATE, "status": 404}),
        (Call.LIST, {"rate": RATE, "status": 500}),
        (Call.RESULTS, {"rate": RATE / 4, "cut": Cut.MID_LINE, "lines": 3}),
        (Call.RESULTS, {"rate": RATE / 2, "cut": Cut.LINE_END, "lines": 3}),
        (Call.RESULTS, {"rate": RATE * 3 / 4, "status": 500}),
        (Call.RESULTS, {"rate": RATE, "status": 404}),
    ]
    return Faults(
        script=[Fault(call=call, times=None, **how) for call, how in always],
        error_rate=RATE,
        expire_rate=RATE,
        refuse_rate=RATE,
        listing_lag_s=30.0,
        not_found_s=3.0,
    )
