"""The real command, as a process or in this one, and the provider that it talks to."""

import contextlib
import ctypes
import io
import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from handlers.cli.main import main
from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Request, Response
from shared.adapters.simulator.server import Running

ROOT = Path(__file__).parents[3]
PATIENCE_S = 30.0
_BATCHES = "/v1/messages/batches"
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Standard output, every line of which must be an event."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def said(self) -> str:
        """Standard error, which must be one line of ours."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("docmill: ")
        return lines[0].removeprefix("docmill: ")


@dataclass
class Held:
    """A call that the provider has taken (its effect is there) and doesn't answer yet."""

    taken: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)


@dataclass
class Provider:
    """The simulator over HTTP, with what it was asked for."""

    running: Running
    held: dict[Call, Held] = field(default_factory=dict)

    def requested(self) -> Counter[str]:
        """How often each document is in a batch, by the name in its custom_id: what is paid for."""
        self.running.clock.advance(3600)
        counts: Counter[str] = Counter()
        for batch in self._listed():
            for line in self._get(f"{_BATCHES}/{batch['id']}/results").splitlines():
                counts[json.loads(line)["custom_id"].rsplit("-", 2)[0]] += 1
        return counts

    def batches(self) -> int:
        """How many batches were ever created."""
        return len(self._listed())

    def in_progress(self) -> int:
        """How many batches have not ended."""
        return sum(batch["processing_status"] == "in_progress" for batch in self._listed())

    @contextmanager
    def holding(self, call: Call) -> Iterator[Held]:
        """Hold the next call of a kind, after its effect, until the block ends."""
        held = self.held[call] = Held()
        try:
            yield held
        finally:
            self.held.pop(call, None)
            held.go_on.set()

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._get(f"{_BATCHES}?limit=1000"))["data"]
        return found

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(
            self.running.base_url + path,
            headers={"x-api-key": "test", "anthropic-version": "2023-06-01"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            content = answer.read()
            assert isinstance(content, bytes)
            return content


def watch(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `Provider.holding` stand between the simulator and whoever calls it."""
    apply = Simulator.apply

    def held_apply(self: Simulator, now: datetime, request: Request) -> Response:
        response = apply(self, now, request)
        held = provider.held.pop(_call(request), None)
        if held is not None:
            held.taken.set()
            held.go_on.wait(2 * PATIENCE_S)  # longer than anybody waits for who should not wait
            held.answered.set()
        return response

    monkeypatch.setattr(Simulator, "apply", held_apply)


def _call(request: Request) -> Call:
    if request.path == _BATCHES:
        return Call.CREATE if request.method == "POST" else Call.LIST
    last = request.path.rsplit("/", 1)[-1]
    return Call(last) if last in ("results", "cancel", "count_tokens") else Call.RETRIEVE


class Docmill:
    """Runs docmill: called, in this process; `start` and `alone`, as a process of its own, which
    begins with `module`."""

    def __init__(self, environment: dict[str, str], module: str = "handlers.cli.main") -> None:
        self.environment = environment
        self.module = module

    def __call__(self, *words: object, **environment: str) -> Ended:
        """Run `main` here, with its output caught."""
        out, err = io.StringIO(), io.StringIO()
        status: object = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["docmill", *map(str, words)])
            for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
                patch.delenv(name, raising=False)
            for name, value in (self.environment | environment).items():
                patch.setenv(name, value)
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    main()
            except SystemExit as ended:
                status = ended.code
        assert isinstance(status, int)
        return Ended(status=status, out=out.getvalue(), err=err.getvalue())

    @contextmanager
    def start(
        self, *words: object, before: Callable[[], None] | None = None, **environment: str
    ) -> Iterator["subprocess.Popen[str]"]:
        """Start a process; it is killed when the block ends, if it still runs."""
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("ANTHROPIC_")}
        process = subprocess.Popen(
            [sys.executable, "-m", self.module, *map(str, words)],
            cwd=ROOT,
            env={**inherited, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=before,  # noqa: PLW1509 - limits of the child alone; it starts no thread
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def alone(
        self,
        *words: object,
        before: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a process to its end."""
        with self.start(*words, before=before, **(environment or {})) as process:
            return ended(process)

    def at_terminal(self, *words: object, answers: Mapping[str, str | None]) -> tuple[str, int]:
        """Run a process at a terminal to its end: what its screen was sent, and the exit status.

        Each answer is typed once its question is there; None kills the process instead.
        """
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("ANTHROPIC_")}
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "handlers.cli.main", *map(str, words)],
            cwd=ROOT,
            env=inherited | self.environment | {"TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        screen = b""
        waiting = dict(answers)
        try:
            while select.select([ours], [], [], PATIENCE_S)[0]:
                try:
                    screen += os.read(ours, 65536)
                except OSError:  # how a terminal ends on Linux
                    break
                for question in [q for q in waiting if q.encode() in screen]:
                    answer = waiting.pop(question)
                    if answer is None:
                        process.kill()
                    else:
                        os.write(ours, answer.encode())
            return screen.decode(), process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait(PATIENCE_S)
            os.close(ours)


def obey_permissions() -> None:
    """Let root be bound by permissions, too, once the next program is started."""
    prctl = ctypes.CDLL(None).prctl
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def ended(process: "subprocess.Popen[str]") -> Ended:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err, err
    return Ended(status=process.returncode, out=out, err=err)


def line_with(process: "subprocess.Popen[str]", word: str) -> str:
    """Read its output up to the line that holds `word`."""
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    assert process.stderr is not None
    raise AssertionError(f"no {word}: {process.stderr.read()}")


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, or fail."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def write_documents(folder: Path, count: int) -> set[str]:
    """Write documents `doc-000.txt` and so on; the answer is their slugs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"doc-{number:03}.txt").write_text(f"The contents of document {number}.\n")
    return {f"doc-{number:03}-txt" for number in range(count)}


def reports(out: Path) -> set[str]:
    """The paths of all reports below the output."""
    return {str(path.relative_to(out)) for path in out.rglob("*.md") if path.is_file()}


def failures(out: Path) -> list[dict[str, Any]]:
    """`failures.jsonl`."""
    return [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]


def summary(out: Path) -> dict[str, Any]:
    """`summary.json`."""
    found = json.loads((out / "summary.json").read_text())
    assert isinstance(found, dict)
    return found
