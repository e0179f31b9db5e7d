"""A disk that is full for a while."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SIZE = "24m"
_PIECE = bytes(64 << 10)
_LEAST_FILE = 4096


class Disk(Protocol):
    """What the output lies on."""

    def fill(self, pid: int) -> None:
        """From now on it takes no more, from this process at least."""

    def empty(self, pid: int) -> None:
        """There is room again."""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A disk of its own, which only root can have."""

    root: Path

    def fill(self, pid: int) -> None:
        with contextlib.suppress(OSError), (self.root / ".filler").open("ab", buffering=0) as file:
            for size in (len(_PIECE), 1):
                with contextlib.suppress(OSError):
                    while file.write(_PIECE[:size]) == size:
                        pass

    def empty(self, pid: int) -> None:
        (self.root / ".filler").unlink(missing_ok=True)


class SmallFiles:
    """A process whose files may not grow, which anybody can have."""

    def fill(self, pid: int) -> None:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_LEAST_FILE, hard))

    def empty(self, pid: int) -> None:
        """The process that had the limit is gone."""


@contextmanager
def small_disk(root: Path) -> Iterator[Disk]:
    """A small disk at `root`, or what comes nearest."""
    root.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "docmill-faults", str(root)]
    mounted = False
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        yield SmallFiles()
        return
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", str(root)], check=True)
