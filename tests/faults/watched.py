"""A run of the real command, every event seen as it comes, and the moments to kill it at."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.documents import GROUPS
from tests.faults.phases import is_running
from tests.faults.provider import Calls, Served
from tests.faults.served import ANSWERED, CAME, DONE
from tests.handlers.cli.command import PATIENCE_S, Docmill

if TYPE_CHECKING:
    import subprocess

_LOOK_S = 0.002


@dataclass(slots=True, kw_only=True)
class Watched:
    """A run under way, begun at that time."""

    process: "subprocess.Popen[str]"
    out: Path
    provider: Served
    begun: float
    calls: Calls
    events: list[dict[str, Any]] = field(default_factory=list)

    def told(self, event: str) -> int:
        """How often it has told of this."""
        return sum(each["event"] == event for each in self.events)

    def saw(self, *events: str) -> bool:
        """Whether it has told of one of these."""
        return any(each["event"] in events for each in self.events)

    def asked(self, call: str, step: str) -> bool:
        """Whether one of its calls came this far."""
        return self.calls.look()[call, step] > 0

    def has_written(self) -> bool:
        """Whether a report was begun."""
        folders = (self.out / group for group in GROUPS)
        return any(f.stat().st_mtime >= self.begun for f in folders if f.exists())

    def has_published(self) -> bool:
        """Whether the job's own files were begun, which lie at the top."""
        return self.saw("taken_in") and self.out.stat().st_mtime >= self.begun

    def until(self, condition: Callable[[], bool], *, look_s: float = _LOOK_S) -> bool:
        """Wait for a condition; False when the process ended before."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < end, f"stands still; last: {self.events[-3:]}"
            time.sleep(look_s)
        return True

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.events.append(json.loads(line))


@contextmanager
def watched(
    docmill: Docmill, provider: Served, out: Path, words: Sequence[object]
) -> Iterator[Watched]:
    """Start a run, and read its events until the block ends; then it is killed."""
    begun, calls = time.time(), provider.calls()
    with docmill.start(*words, "--json") as process:
        run = Watched(process=process, out=out, provider=provider, begun=begun, calls=calls)
        reader = threading.Thread(target=run._read, daemon=True)
        reader.start()
        try:
            yield run
        finally:
            process.kill()
            process.wait(10)
            reader.join(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When to kill: a random time of up to `within_s` after something is seen; `early` is before
    any result is needed."""

    name: str
    seen: Callable[[Watched], bool]
    within_s: float
    early: bool = False

    def come(self, run: Watched, draw: random.Random) -> bool:
        """Wait for it; False when the run ended before."""
        if not run.until(lambda: self.seen(run), look_s=min(_LOOK_S, self.within_s / 10)):
            return False
        time.sleep(draw.random() * self.within_s)
        return run.process.poll() is None


def _all_closed(run: Watched) -> bool:
    last = next((e for e in reversed(run.events) if e["event"] == "progressed"), None)
    return (
        run.saw("batch_collected")
        and last is not None
        and last["total"] > 0
        and not last["waiting"]
        and not last["in_batch"]
    )


NOTHING_TO_DO = Moment(
    name="all is done but publishing", seen=lambda run: run.saw("taken_in"), within_s=0.02
)
MOMENTS = (
    Moment(name="any time", seen=lambda _: True, within_s=6.0),
    Moment(name="start", seen=lambda _: True, within_s=0.4),
    Moment(name="lock taken", seen=lambda run: is_running(run.out, run.begun), within_s=0.05),
    Moment(name="taken in", seen=lambda run: run.saw("taken_in"), within_s=0.1),
    Moment(name="estimated", seen=lambda run: run.saw("estimated"), within_s=2.0, early=True),
    Moment(
        name="doubt",
        seen=lambda run: run.saw("batch_in_doubt", "estimated"),
        within_s=1.0,
        early=True,
    ),
    Moment(
        name="intent saved", seen=lambda run: run.saw("batch_submitting"), within_s=0.1, early=True
    ),
    Moment(
        name="create taken", seen=lambda run: run.asked("create", DONE), within_s=0.1, early=True
    ),
    Moment(
        name="create answered",
        seen=lambda run: run.asked("create", ANSWERED),
        within_s=0.004,
        early=True,
    ),
    Moment(
        name="first batch saved",
        seen=lambda run: run.saw("batch_submitted"),
        within_s=0.1,
        early=True,
    ),
    Moment(name="first look", seen=lambda run: run.asked("retrieve", CAME), within_s=0.6),
    Moment(name="results asked for", seen=lambda run: run.asked("results", CAME), within_s=0.1),
    Moment(name="results sent", seen=lambda run: run.asked("results", DONE), within_s=0.03),
    Moment(name="report begun", seen=lambda run: run.has_written(), within_s=0.005),
    Moment(name="report written", seen=lambda run: run.has_written(), within_s=0.03),
    Moment(name="first batch closed", seen=lambda run: run.saw("batch_collected"), within_s=0.3),
    Moment(name="publishing", seen=lambda run: run.has_published(), within_s=0.002),
    Moment(name="last batch closed", seen=_all_closed, within_s=0.004),
)
