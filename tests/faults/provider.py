"""The provider's process as those who watch it see it: its address, its ledger, its calls."""

import json
import select
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.handlers.cli.command import PATIENCE_S, ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One request that the provider took."""

    batch: str
    custom_id: str
    path: str
    version: int


@dataclass(slots=True, kw_only=True)
class Calls:
    """The steps of calls, as they come: which call, and how far it came."""

    path: Path
    read: int
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def look(self) -> Counter[tuple[str, str]]:
        """How many of each there were until now."""
        if self.path.stat().st_size == self.read:
            return self.seen
        with self.path.open("rb") as file:
            file.seek(self.read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.splitlines():
            step = json.loads(line)
            self.seen[step["call"], step["step"]] += 1
        return self.seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The provider, by what it wrote down."""

    address: str
    folder: Path

    def ledger(self) -> list[Taken]:
        """Every request of every batch taken: what is paid for."""
        return [
            Taken(batch=line["batch"], custom_id=custom_id, path=path, version=version)
            for line in _lines(self.folder / "ledger.jsonl")
            for custom_id, path, version in line["requests"]
        ]

    def paid(self) -> Counter[tuple[str, int]]:
        """How often each version of each document is paid for."""
        return Counter((taken.path, taken.version) for taken in self.ledger())

    def calls(self) -> "Calls":
        """The calls from now on."""
        path = self.folder / "calls.jsonl"
        return Calls(path=path, read=path.stat().st_size)

    def pace(self, **seconds: float) -> None:
        """Be as slow as `tests.faults.served.Pace` says."""
        self._post("/_pace", seconds)

    def faults(self, **faults: Any) -> None:
        """Let go wrong what `shared.adapters.simulator.faults.Faults` says, and nothing else."""
        self._post("/_simulator/faults", faults)

    def advance(self, seconds: float) -> None:
        """Let the provider's time pass."""
        self._post("/_simulator/clock", {"advance_s": seconds})

    def _post(self, path: str, value: Any) -> None:
        body = json.dumps(value).encode()
        with urllib.request.urlopen(self.address + path, body, timeout=PATIENCE_S) as answer:
            answer.read()


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that is being written to."""
    data = path.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


@contextmanager
def served(folder: Path, *, output_bytes: int = 0) -> Iterator[Served]:
    """Serve from a process of its own while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--output-bytes", str(output_bytes)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.served", str(folder), *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        address = process.stdout.readline().decode().strip() if ready else ""
        assert address.startswith("http"), "the provider did not start"
        yield Served(address=address, folder=folder)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
