"""Batches kept in a folder, so that a simulator that was killed takes up where it was.

What is written is on the disk before `save` returns: an answer is never given for a batch that a
restart would forget.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from shared.adapters.simulator.core import Simulator

_SUFFIX = ".batch.json"


class StateError(ValueError):
    """A file of the folder can't be read as what it should be. The message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What belongs to no batch: ids are never given twice, and the clock never goes back."""

    created: int = 0
    ahead_s: float = 0.0


class StateFolder:
    """One file for each batch, and one for what belongs to none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._world = root / "simulator.json"
        root.mkdir(parents=True, exist_ok=True)

    def load(self, simulator: Simulator) -> timedelta:
        """Take up what was saved; the answer is how far the clock was ahead. Raises StateError."""
        for path in sorted(self._root.glob("*" + _SUFFIX)):
            try:
                simulator.load(path.read_bytes())
            except msgspec.DecodeError as error:
                raise StateError(f"{path} is not a saved batch: {error}") from error
        if not self._world.exists():
            return timedelta()
        try:
            world = msgspec.json.decode(self._world.read_bytes(), type=_World)
        except msgspec.DecodeError as error:
            raise StateError(f"{self._world} is not a saved simulator: {error}") from error
        simulator.created = max(simulator.created, world.created)
        return timedelta(seconds=world.ahead_s)

    def save(self, simulator: Simulator, batch_id: str, ahead: timedelta) -> None:
        """Keep one batch as it is now, or that it is deleted. Raises OSError."""
        path = self._root / (batch_id + _SUFFIX)
        data = simulator.dump(batch_id)
        if data is None:
            self.save_world(simulator, ahead)
            path.unlink(missing_ok=True)
        else:
            self._write(path, data)

    def save_world(self, simulator: Simulator, ahead: timedelta) -> None:
        """Keep what belongs to no batch. Raises OSError."""
        world = _World(created=simulator.created, ahead_s=ahead.total_seconds())
        self._write(self._world, msgspec.json.encode(world))

    def _write(self, path: Path, data: bytes) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
