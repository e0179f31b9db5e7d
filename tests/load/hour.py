"""An hour of uploads in virtual time: the real use cases, and the stack's queues, timers, quotas.

One invocation is carried out whole at the moment it begins, and is over when its calls have taken
their time: those that overlap take away from each other's quotas, and don't see each other's half.
"""

import asyncio
import heapq
import random
from array import array
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from handlers.events import MARGIN
from handlers.submit import _WHOLE_BATCH
from shared.adapters.builtin import catalog
from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator_api import SimulatorApi
from shared.adapters.sqlite_store import SqliteStore
from shared.app.collect import Collected, collect
from shared.app.deps import Deps
from shared.app.poll import poll
from shared.app.publish import publish_if_due
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from shared.app.uploads import take_together
from shared.domain.batch import LIVE
from shared.domain.document import DocumentStatus
from shared.domain.ids import BatchId, JobName, batch_id
from shared.domain.policy import MAX_BATCH_REQUESTS, Policy
from shared.domain.recipe import parse_recipe
from shared.ports.blobs import BlobError
from shared.ports.store import StaleWrite, Store, StoreUnavailable
from shared.wiring.conversion import converter
from tests.aws import template
from tests.faults.day_world import Trouble, number_of, path_of
from tests.load.places import Bucket, Clock, Output, Provider, Quota, Table, TimedOut
from tests.one_recipe import one_recipe

JOB = JobName("load")
START = datetime.fromisoformat("2026-11-24T00:00:00+00:00")
HOUR_S = 3600
_GATHERED_S = 5
_SLOWEST_S = 3 * 24 * HOUR_S
_RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
max_wait: 15m
---
Summarise this in a paragraph:

{{ document.text }}
"""
_TIMERS = {"Submit": "SubmitMinutes", "Poll": "PollMinutes", "Reconcile": "ReconcileMinutes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What may be had: parameters of the stack, and limits of AWS and of the provider."""

    intake_concurrency: int = 10
    collect_concurrency: int = 10
    partition_writes: int = 1_000
    table_writes: int = 4_000
    provider_queue: int = 500_000
    batch_requests: int = MAX_BATCH_REQUESTS
    batch_minutes: tuple[int, int] = (10, 60)


@dataclass(slots=True, kw_only=True)
class Message:
    """What waits in a queue since when; of uploads the number of a document, else a batch."""

    of: int | BatchId
    since: datetime


@dataclass(kw_only=True)
class Hour:
    """`documents` uploads within an hour, each of which stands for `weight`; then until the end."""

    documents: int
    folder: Path
    weight: int = 1
    groups: int = 10
    quotas: Quotas = field(default_factory=Quotas)
    backlog: int = 0
    oldest_s: float = 0.0
    taken_in: datetime = START
    submitted: datetime = START
    over: datetime = START
    ran: Counter[str] = field(default_factory=Counter)
    longest_s: Counter[str] = field(default_factory=Counter)
    ended_badly: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.draw = random.Random(1)
        self.clock = Clock(now=START, weight=self.weight)
        calm = Trouble(draw=self.draw, calm=True)
        self.simulator = Simulator(seed=1)
        limit = self.quotas.provider_queue // self.weight
        self._settings = SimulatorSettings(queue_limit=limit)
        self.api = Provider(
            inner=SimulatorApi(self.simulator, lambda: self.clock.now), clock=self.clock
        )
        self.store = SqliteStore(self.folder / "state.db")
        self.table = Table(
            inner=self.store,
            clock=self.clock,
            table=Quota(self.quotas.table_writes),
            partition_rate=self.quotas.partition_writes,
        )
        self.reports = Output(
            trouble=calm, written=array("H", bytes(2 * self.documents)), clock=self.clock
        )
        recipe = parse_recipe(_RECIPE, name="recipe.md", catalog=catalog())
        self.deps = Deps(
            documents=Bucket(trouble=calm, clock=self.clock),
            reports=self.reports,
            store=cast("Store", self.table),
            api=self.api,
            recipe=one_recipe(lambda: recipe),
            catalog=catalog(),
            clock=lambda: self.clock.now,
            new_batch_id=lambda: batch_id(self.draw.getrandbits(60)),
            spool_dir=self.folder,
            converter=converter(),
            policy=Policy(
                index_lag=timedelta(seconds=60),
                reports_by_job=True,
                max_batch_requests=max(self.quotas.batch_requests // self.weight, 1),
            ),
            emit=self._emit,
        )
        self.uploads: deque[Message] = deque()
        self.collects: deque[Message] = deque()
        self._running: Counter[str] = Counter()
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._entries = 0
        resources = template()["Resources"]
        self._functions = {n: resources[n]["Properties"] for n in (*_TIMERS, "Intake", "Collect")}
        minutes = template()["Parameters"]
        self._periods = {n: timedelta(minutes=minutes[p]["Default"]) for n, p in _TIMERS.items()}
        queues = {"Intake": "UploadQueue", "Collect": "CollectQueue"}
        self._hidden = {
            n: timedelta(seconds=resources[q]["Properties"]["VisibilityTimeout"])
            for n, q in queues.items()
        }
        self._per_call = self._functions["Intake"]["Events"]["Uploads"]["Properties"]["BatchSize"]

    def run(self) -> None:
        """From the first upload until nothing is open. Raises AssertionError after three days."""
        for second in range(0, HOUR_S, _GATHERED_S):
            share = [self.documents * at // HOUR_S for at in (second, second + _GATHERED_S)]
            self._at(START + timedelta(seconds=second), lambda s=share: self._upload(*s))  # type: ignore[misc]  # mypy doesn't infer a default
        for name, every in self._periods.items():
            self._tick(name, every)
        while self._agenda:
            now, _, work = heapq.heappop(self._agenda)
            assert now < START + timedelta(seconds=_SLOWEST_S), self.ended_badly
            self.clock.now = now
            work()

    def _emit(self, event: str, /, **facts: object) -> None:
        self.events[event] += 1
        if event == "batch_submitted":
            self.submitted = max(self.submitted, self.clock.now)

    def _at(self, when: datetime, work: Callable[[], None]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (when, self._entries, work))

    def _upload(self, first: int, end: int) -> None:
        self.uploads.extend(
            Message(of=number, since=self.clock.now) for number in range(first, end)
        )
        self._hand_out()

    def _tick(self, name: str, every: timedelta) -> None:
        """A timer: while it runs it isn't started again, as its time-out is below its period."""
        if self._is_over():
            self.over = max(self.over, self.clock.now)
            return
        work = {"Submit": self._submit, "Poll": self._poll, "Reconcile": self._reconcile}[name]
        now = self.clock.now
        self._invoke(name, work)
        self._at(now + every, lambda: self._tick(name, every))

    def _hand_out(self) -> None:
        """Give what waits to functions, as many as may run at once."""
        now = self.clock.now
        if self.uploads:
            self.backlog = max(self.backlog, len(self.uploads))
            self.oldest_s = max(self.oldest_s, (now - self.uploads[0].since).total_seconds())
        per_call = max(self._per_call // self.weight, 1)
        while self.uploads and self._running["Intake"] < self.quotas.intake_concurrency:
            count = min(per_call, len(self.uploads))
            messages = [self.uploads.popleft() for _ in range(count)]
            self._invoke("Intake", lambda m=messages: self._take_in(m), messages)  # type: ignore[misc]
            self.clock.now = now
        while self.collects and self._running["Collect"] < self.quotas.collect_concurrency:
            message = self.collects.popleft()
            self._invoke("Collect", lambda m=message: self._collect(m), [message])  # type: ignore[misc]
            self.clock.now = now

    def _invoke(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        messages: list[Message] | None = None,
    ) -> None:
        """Carry it out; what it leaves undone comes back when its messages are shown again."""
        began = self.clock.now
        self.clock.function = name
        self.clock.ends = began + timedelta(seconds=self._functions[name]["Timeout"])
        self._running[name] += 1
        self.ran[name] += 1
        try:
            asyncio.run(work())
        except (TimedOut, StoreUnavailable, StaleWrite, BlobError) as error:
            self.ended_badly[f"{name}: {type(error).__name__}"] += 1
            if messages:
                queue = self.uploads if name == "Intake" else self.collects
                again = began + self._hidden[name]
                self._at(again, lambda: self._back(queue, messages))
        else:
            if name == "Intake":
                self.taken_in = max(self.taken_in, self.clock.now)
        took = (self.clock.now - began).total_seconds()
        self.longest_s[name] = max(self.longest_s[name], round(took))
        self._at(self.clock.now, lambda: self._end(name))

    def _end(self, name: str) -> None:
        self._running[name] -= 1
        self._hand_out()

    def _back(self, queue: deque[Message], messages: list[Message]) -> None:
        queue.extend(messages)
        self._hand_out()

    def _until(self, margin: timedelta) -> datetime:
        return self.clock.ends - margin

    async def _take_in(self, messages: list[Message]) -> None:
        keys = [f"{JOB}/{path_of(int(each.of), self.groups)}" for each in messages]
        _, done = take_together(self.deps, keys)
        assert done == set(keys)

    async def _submit(self) -> None:
        low, high = self.quotas.batch_minutes
        duration = self.draw.uniform(low, high) * 60
        self.simulator.settings = SimulatorSettings(
            duration_s=duration, queue_limit=self._settings.queue_limit
        )
        await submit(self.deps, until=self._until(_WHOLE_BATCH))

    async def _poll(self) -> None:
        self._ask_to_collect((await poll(self.deps, until=self._until(MARGIN / 2))).ended)

    async def _reconcile(self) -> None:
        self._ask_to_collect((await reconcile(self.deps, until=self._until(MARGIN))).to_collect)
        for job in list(self.deps.store.stale_jobs()):
            publish_if_due(self.deps, job)

    async def _collect(self, message: Message) -> None:
        batch = cast("BatchId", message.of)
        outcome = await collect(self.deps, batch, until=self._until(MARGIN))
        self.events[f"collect: {outcome.value}"] += 1
        if outcome is Collected.UNFINISHED:
            self._ask_to_collect((batch,))

    def _ask_to_collect(self, batches: tuple[BatchId, ...]) -> None:
        """It is shown once the function that asks is over: at its time."""
        for batch in batches:
            message = Message(of=batch, since=self.clock.now)
            self._at(self.clock.now, lambda m=message: self._back(self.collects, [m]))  # type: ignore[misc]

    def _is_over(self) -> bool:
        if self.clock.now < START + timedelta(seconds=HOUR_S) or self.uploads or self.collects:
            return False
        if self._running["Intake"] or self._running["Collect"]:
            return False
        far = self.clock.now + timedelta(days=3650)
        live = any(self.store.due(status, now=far, limit=1) for status in LIVE)
        return not live and not any(True for _ in self.store.stale_jobs()) and self._all_ended()

    def _all_ended(self) -> bool:
        ended = {DocumentStatus.REPORTED, DocumentStatus.FAILED}
        return all(set(counts) <= ended for counts in self.store.count(JOB).values())

    def check(self) -> None:
        """Everything is reported, and each document was sent once. Raises AssertionError."""
        counts = self.store.count(JOB).values()
        reported = sum(each.get(DocumentStatus.REPORTED, 0) for each in counts)
        assert reported == self.documents, f"{reported} of {self.documents} are reported"
        assert all(self.reports.written), "a report is missing"
        sent = Counter(
            number_of(row.custom_id)
            for batch in self.simulator.batches.values()
            for row in batch.rows
        )
        assert len(sent) == self.documents
        assert set(sent.values()) == {1}, "a document was sent twice"
