"""Invocations in processes of their own that are killed at their deadline, as Lambda does it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.handlers.cli.command import PATIENCE_S, ROOT

_OURS = ("AWS_", "ANTHROPIC_", "DOCMILL_")
_LOOK_S = 0.005


@dataclass(slots=True, kw_only=True)
class Invoked:
    """One invocation under way. Its deadline counts from when it began."""

    pid: int
    answer: Path
    began: Path
    timeout_s: float
    killed: bool = False

    def wait(self, seconds: float = PATIENCE_S) -> Any:
        """Its answer; None when its time was over before, and it was killed.

        Raises AssertionError with what it raised.
        """
        _until(self.began.exists)
        ends = time.monotonic() + self.timeout_s
        late = time.monotonic() + seconds
        while not self.answer.exists():
            assert time.monotonic() < late
            if time.monotonic() >= ends:
                self.killed = True
                self.send(signal.SIGKILL)
                return None
            assert _lives(self.pid), "the function's process crashed"
            time.sleep(_LOOK_S)
        told = json.loads(self.answer.read_text())
        assert "error" not in told, told["error"]
        return told["answer"]

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is there yet."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(_LOOK_S)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass(slots=True, kw_only=True)
class Functions:
    """A host for invocations. `flush_lines` is how many results they settle at once."""

    process: "subprocess.Popen[str]"
    folder: Path
    flush_lines: int = 5
    begun: list[Invoked] = field(default_factory=list)

    def begin(
        self,
        module: ModuleType,
        event: dict[str, Any],
        *,
        timeout_s: float,
        told_s: float | None = None,
    ) -> Invoked:
        """Begin an invocation; whoever waits for it kills it in time.

        With `told_s` its context tells of another time than it has: it crashes.
        """
        name = str(len(self.begun))
        answer, began = self.folder / f"{name}.json", self.folder / f"{name}.began"
        asked = {
            "handler": module.__name__,
            "event": event,
            "timeout_s": timeout_s if told_s is None else told_s,
            "flush_lines": self.flush_lines,
            "environment": {n: v for n, v in os.environ.items() if n.startswith(_OURS)},
            "answer": str(answer),
            "began": str(began),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        invoked = Invoked(pid=pid, answer=answer, began=began, timeout_s=timeout_s)
        self.begun.append(invoked)
        return invoked


@contextmanager
def functions(folder: Path) -> Iterator[Functions]:
    """A host while the block runs; what is under way then is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.function_host"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    host = Functions(process=process, folder=folder)
    try:
        assert process.stdout.readline() == "ready\n"
        yield host
    finally:
        for invoked in host.begun:
            if not invoked.answer.exists():
                invoked.send(signal.SIGKILL)
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
