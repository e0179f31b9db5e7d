"""A world: people, buckets, queues, timers, a provider, and docmill in the middle.

Everything in it follows from the seed: who has the next turn, how long it takes, what goes wrong.
"""

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator_api import SimulatorApi
from shared.adapters.sqlite_store import SqliteStore
from shared.app.deps import Deps
from shared.domain.ids import BatchId, batch_id
from shared.domain.policy import Policy
from shared.ports.blobs import Blobs
from shared.ports.store import Store
from shared.wiring.conversion import converter
from tests.app.long import small
from tests.world.api import FaultyApi, Provider
from tests.world.blobs import FaultyBlobs, MemoryBlobs
from tests.world.gate import Gate, QueueDown, Stage
from tests.world.handlers import LIVES, PASSING, Invocation
from tests.world.lagging import Index, LaggingStore
from tests.world.ledger import Ledger
from tests.world.mirror import Mirror
from tests.world.people import People
from tests.world.recipes import Recipes
from tests.world.reports import is_report
from tests.world.rules import Broken, Rules
from tests.world.runs import Run
from tests.world.store import FaultyStore
from tests.world.story import Story
from tests.world.weather import Fault, Weather, weather

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
_INDEX_LAG = timedelta(seconds=60)
"""What the home on AWS assumes; this world's index lags for less."""

_CONTEXT = 6_000
"""Tokens that a model of the world takes: a long document is few kilobytes, in four parts."""

_ETAGS_BY_UPLOAD = 0.3
_LAPTOPS = 0.25
_MARGIN = timedelta(seconds=20)
_SPOOL = Path(tempfile.gettempdir())


@dataclass(slots=True, kw_only=True)
class Message:
    """In a queue: for which function, and what it says. `due` is when it can be had."""

    kind: str
    text: str
    due: datetime


@dataclass(slots=True, kw_only=True)
class Home:
    """What a world is put up on."""

    store: Store
    documents: Blobs
    reports: Blobs


def in_memory(clock: Callable[[], datetime], *, by_upload: bool) -> Home:
    """The home for many worlds: SQLite in memory and buckets in memory."""
    return Home(
        store=new_store(),
        documents=MemoryBlobs(clock, by_upload=by_upload),
        reports=MemoryBlobs(clock),
    )


def new_store() -> Store:
    """An empty store in memory."""
    return SqliteStore(":memory:")


@dataclass(slots=True)
class World:
    """One seed's world."""

    seed: int
    wanted: bool = False
    off: frozenset[str] = frozenset()
    most_steps: int = 10_000
    make_home: Callable[[Callable[[], datetime]], Home] | None = None
    now: datetime = START
    runs: list[Run] = field(default_factory=list)
    alone: Run | None = None
    queue: list[Message] = field(default_factory=list)
    escaped: dict[str, int] = field(default_factory=dict)
    rng: random.Random = field(init=False)
    weather: Weather = field(init=False)
    stage: Stage = field(init=False)
    home: Home = field(init=False)
    store: Store = field(init=False)
    people: People = field(init=False)
    provider: Provider = field(init=False)
    policy: Policy = field(init=False)
    begun: int = 0
    on_laptop: bool = False
    _numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(self.seed)
        self.weather = weather(rng)
        simulator = Simulator(seed=self.seed)
        simulator.faults.listing_lag_s = self.weather.listing_lag.total_seconds()
        story = Story(START, wanted=self.wanted)
        mirror, ledger = Mirror(), Ledger(simulator)
        self.stage = Stage(
            weather=self.weather,
            story=story,
            mirror=mirror,
            ledger=ledger,
            rules=Rules(mirror=mirror, ledger=ledger, clock=self.clock, off=self.off),
            clock=self.clock,
        )
        self.provider = Provider(simulator=simulator, stage=self.stage)
        self.on_laptop = self.make_home is None and rng.random() < _LAPTOPS
        if self.on_laptop:
            self.weather.index_lag, self.weather.by_item = timedelta(0), False
        by_upload = rng.random() < _ETAGS_BY_UPLOAD and not self.on_laptop
        make_home = self.make_home or partial(in_memory, by_upload=by_upload)
        self.home = make_home(self.clock)
        self.store = self.home.store
        if self.weather.index_lag:
            index = Index(rng=rng, clock=self.clock, lag=self.weather.index_lag)
            self.store = LaggingStore(self.store, index)
        self.people = People(
            rng=rng,
            bucket=self.home.documents,
            ledger=ledger,
            put_event=self._event,
            tell=partial(self.tell, "people"),
            jobs=("legal", "hr")[: 1 if self.on_laptop else rng.randint(1, 2)],
            etags=self.stage.rules.etags,
            latest=self.stage.rules.latest,
            limits=self.stage.rules.limits,
        )
        self.policy = Policy(
            index_lag=timedelta(0) if self.on_laptop else _INDEX_LAG,
            max_batch_requests=rng.choice((2, 3, 100)),
            reports_by_job=True,
        )

    @property
    def broken(self) -> Broken | None:
        """The rule that doesn't hold, if one doesn't."""
        return self.stage.rules.broken

    def clock(self) -> datetime:
        """The true time."""
        return self.now

    def tell(self, who: str, what: str, *facts: object, fault: str = "") -> None:
        """A line of the story."""
        self.stage.story.tell(self.now, who, what, *facts, fault=fault)

    def start(self, kind: str, work: Callable[[Invocation], None], *, back: "Return" = None) -> Run:
        """Begin a run; `back` gets it when it is over."""
        self._numbers[kind] = number = self._numbers.get(kind, 0) + 1
        self.begun += 1
        skew = self.weather.skew
        life = LIVES[kind] if self.on_laptop else min(LIVES[kind], self.weather.longest_life)
        invoke = partial(self._invoke, work=work, back=back, kind=kind)
        run = Run(
            f"{kind}-{number}",
            invoke,
            begun=self.now,
            life=life,
            skew=skew * self.rng.uniform(-1, 1) if skew else skew,
        )
        self.runs.append(run)
        return run

    def _invoke(
        self, run: Run, *, work: Callable[[Invocation], None], back: "Return", kind: str
    ) -> None:
        gate = Gate(run=run, stage=self.stage)
        documents = FaultyBlobs(inner=self.home.documents, gate=gate, name="documents")
        deps = Deps(
            documents=documents,
            reports=FaultyBlobs(
                inner=self.home.reports,
                gate=gate,
                name="reports",
                watch=self._written,
                watch_refused=self.stage.rules.not_written,
            ),
            store=FaultyStore(
                inner=self.store,
                gate=gate,
                by_item=self.weather.by_item,
                forgives=kind == "retry",
            ),
            api=FaultyApi(
                inner=SimulatorApi(self.provider.simulator, self.clock),
                provider=self.provider,
                gate=gate,
            ),
            recipe=Recipes(documents),
            catalog=small(_CONTEXT),
            clock=lambda: self.now + run.skew,
            new_batch_id=self._new_batch_id,
            spool_dir=_SPOOL,
            converter=converter(),
            policy=self.policy,
            emit=self._emit,
        )
        try:
            work(
                Invocation(
                    deps=deps,
                    gate=gate,
                    ask_to_collect=self._ask_to_collect,
                    until=run.ends - _MARGIN + run.skew,
                )
            )
        finally:
            if back is not None:
                back(run)

    def _new_batch_id(self) -> BatchId:
        drawn = batch_id(self.rng.getrandbits(60))
        self.stage.story.batch(drawn)
        return drawn

    def _emit(self, event: str, /, **facts: object) -> None:
        if self.wanted:
            shown = " ".join(f"{name}={value}" for name, value in facts.items())
            self.tell("", f"   {event}", shown)

    def _written(self, key: str, data: bytes) -> None:
        if "/.docmill/parts/" in key:
            self.stage.rules.answered(key, data)
        if is_report(key):
            self.stage.rules.reported(key.rpartition(".")[0], data)

    def _event(self, key: str) -> None:
        weather = self.weather
        if self.on_laptop:
            return
        if weather.strikes(Fault.EVENT_LOST):
            self.tell("queue", "lost the event of", key, fault=Fault.EVENT_LOST)
            return
        for _ in range(1 + weather.strikes(Fault.EVENT_TWICE)):
            wait = self.rng.uniform(0, 5)
            if weather.strikes(Fault.EVENT_LATE):
                wait = self.rng.uniform(60, 2000)
            self._send("intake", key, wait)

    def _ask_to_collect(self, batch: BatchId) -> None:
        for _ in range(1 + self.weather.strikes(Fault.EVENT_TWICE)):
            self._send("collect", batch, self.rng.uniform(0, 2))

    def send_back(self, messages: list[Message], wait: float) -> None:
        """The queue brings back what wasn't done."""
        for message in messages:
            self._send(message.kind, message.text, wait)

    def _send(self, kind: str, text: str, wait: float) -> None:
        self.queue.append(Message(kind=kind, text=text, due=self.now + timedelta(seconds=wait)))

    def go_on(self, run: Run) -> None:
        """A run's next call."""
        self.pass_time()
        if self.weather.strikes(Fault.CLOCK_JUMP):
            run.skew = self.weather.skew * self.rng.uniform(-1, 1)
            self.tell(run.name, "clock jumps", run.skew, fault=Fault.CLOCK_JUMP)
        if self.now >= run.ends:
            self.kill(run, Fault.TIME_OUT)
        else:
            run.resume()
        if run.done:
            self.end(run)

    def pass_time(self) -> None:
        """A call takes a moment; now and then it takes long."""
        seconds = 0.02 * self.rng.random()
        if self.weather.strikes(Fault.STALL):
            seconds = self.rng.choice((5, 40, 150, 500)) * self.rng.random()
        self.now += timedelta(seconds=seconds)

    def kill(self, run: Run, fault: Fault) -> None:
        """A process dies between two calls."""
        self.weather.counts[fault] += 1
        self.tell(run.name, "killed", fault=fault)
        run.kill(fault)

    def end(self, run: Run) -> None:
        """A run is over; what escaped it is what its function's owner would see."""
        self.runs.remove(run)
        if self.alone is run:
            self.alone = None
        if run.error is None:
            return
        name = type(run.error).__name__
        self.escaped[name] = self.escaped.get(name, 0) + 1
        self.tell(run.name, "failed with", name, run.error)
        if not isinstance(run.error, (*PASSING, QueueDown)):
            self.stage.rules.blame("no use case fails by a bug", f"{run.name}: {run.error!r}")


Return = Callable[[Run], None] | None
