"""The gate that every call of a run on a port passes: here runs take turns, crash, and are told
that something doesn't work now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, TypeVar

from shared.ports.blobs import BlobError, BlobStoreUnavailable, BlobUnreadable
from shared.ports.store import StaleWrite, StoreUnavailable
from tests.world.ledger import Ledger
from tests.world.mirror import Mirror
from tests.world.rules import Rules
from tests.world.runs import Run
from tests.world.story import Story
from tests.world.weather import Fault, Weather

T = TypeVar("T")

_WHERE_IT_HURTS = frozenset({"api.create", "store.swap_batch", "reports.write"})
_HARSH = 4.0
"""How much likelier a crash is around the calls that decide what is paid for."""

Effect = Callable[[], T]


class QueueDown(Exception):
    """A message could not be sent."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """What all runs of a world share: `clock` is the true time, the provider's."""

    weather: Weather
    story: Story
    mirror: Mirror
    ledger: Ledger
    rules: Rules
    clock: Callable[[], datetime]
    calls: int = 0


@dataclass(slots=True, kw_only=True)
class Gate:
    """One run's way to the world."""

    run: Run
    stage: Stage

    def enter(self, call: str, faults: tuple[Fault, ...], *about: object) -> Fault | None:
        """Let others have their turn; then say what goes wrong. Raises Crash for one before."""
        self.run.check_alive()
        self.run.pause()
        self.stage.calls += 1
        harsh = _HARSH if call in _WHERE_IT_HURTS else 1.0
        fault = self.stage.weather.draw(faults, harsh=harsh)
        if fault is not None:
            self.stage.weather.counts[fault] += 1
            if fault is Fault.CRASH_BEFORE:
                self.crash(fault, call, *about)
        return fault

    def tell(self, call: str, *facts: object, fault: str = "") -> None:
        """A line of the story."""
        self.stage.story.tell(self.stage.clock(), self.run.name, call, *facts, fault=fault)

    def crash(self, fault: Fault, call: str, *about: object) -> NoReturn:
        """The process dies here."""
        self.tell(call, *about, fault=fault)
        self.run.kill(fault)
        raise AssertionError("the dead go on")

    def call(self, name: str, faults: tuple[Fault, ...], effect: Effect[T], *about: object) -> T:
        """One call with one effect, and all that can go wrong around it."""
        fault = self.enter(name, faults, *about)
        if fault is not None and fault in _BEFORE:
            self.tell(name, *about, fault=fault)
            raise _BEFORE[fault](fault.value)
        try:
            result = effect()
        except (StaleWrite, BlobError) as error:
            self.tell(name, *about, fault=type(error).__name__)
            raise
        if fault is Fault.CRASH_AFTER:
            self.crash(fault, name, *about)
        if fault is not None:
            self.tell(name, *about, fault=fault)
            raise _AFTER[fault](fault.value)
        if self.stage.story.wanted:
            shown = () if result is None else ("→", result)
            self.tell(name, *about, *shown)
        return result


_BEFORE: dict[Fault, Callable[[str], Exception]] = {
    Fault.STORE_DOWN: StoreUnavailable,
    Fault.BLOBS_DOWN: BlobStoreUnavailable,
    Fault.BLOB_UNREADABLE: BlobUnreadable,
    Fault.QUEUE_DOWN: QueueDown,
}
_AFTER: dict[Fault, Callable[[str], Exception]] = {
    Fault.STORE_LOST: StoreUnavailable,
    Fault.BLOBS_LOST: BlobStoreUnavailable,
}
