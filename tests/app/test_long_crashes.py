"""A process dies before any one of its calls, or just after, while a document is in parts."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.app.control import requeue
from shared.app.drive import drive
from shared.domain.batch import TERMINAL
from shared.domain.document import DocumentStatus
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, run
from tests.app.long import parts, shrink, text
from tests.app.test_long_documents import fail_some, header, kept, sent


class Killed(BaseException):
    """Nobody handles it, as nobody handles kill -9."""


@dataclass
class Fuse:
    """Burns down by one with each call; `left` is how many are made still."""

    left: int
    after: bool
    calls: int = 0
    dead: bool = False

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **named: Any) -> Any:
            if self.dead:
                raise Killed
            self.calls += 1
            self.left -= 1
            if self.left == 0 and not self.after:
                self._die()
            done = call(*args, **named)
            if isinstance(done, Iterator):
                done = iter(list(done))
            if self.left == 0 and self.after:
                self._die()
            return done

        return made

    def _die(self) -> None:
        self.dead = True
        raise Killed


@dataclass
class Dying:
    """Any port, until the fuse has burnt down."""

    inner: Any
    fuse: Fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return self.fuse.wrap(found) if callable(found) else found


@dataclass
class DyingApi:
    """The provider: it may take a batch and the answer never be saved."""

    inner: Any
    fuse: Fuse

    async def ready(self) -> None:
        await self.inner.ready()

    async def create(self, body: Any, *, betas: Sequence[str]) -> Any:
        self.fuse.wrap(lambda: None)()
        done = await self.inner.create(body, betas=betas)
        self.fuse.wrap(lambda: None)()
        return done

    async def retrieve(self, provider_id: Any) -> Any:
        self.fuse.wrap(lambda: None)()
        return await self.inner.retrieve(provider_id)

    async def cancel(self, provider_id: Any) -> Any:
        return await self.inner.cancel(provider_id)

    def created_since(self, since: Any) -> AsyncGenerator[Any, None]:
        return self.inner.created_since(since)  # type: ignore[no-any-return]

    def results(self, provider_id: Any) -> AsyncGenerator[list[bytes], None]:
        self.fuse.wrap(lambda: None)()
        return self.inner.results(provider_id)  # type: ignore[no-any-return]


def die(home: Home, calls: int, *, after: bool) -> int:
    """Drive the job until that many calls were made; how many there were."""
    fuse = Fuse(left=calls, after=after)
    alive = home.deps
    home.deps = replace(
        alive,
        store=Dying(alive.store, fuse),
        reports=Dying(alive.reports, fuse),
        api=DyingApi(alive.api, fuse),
    )
    try:
        asyncio.run(drive(home.deps, sleep=home.sleep))
    except Killed:
        pass
    finally:
        home.deps = alive
    return fuse.calls


def prepared(folder: Path) -> Home:
    folder.mkdir()
    home = Home(folder)
    home.simulator.settings = SimulatorSettings(duration_s=1)  # or it is mostly looked at
    shrink(home)
    home.write("a.md", text(21_000))
    home.see()
    return home


@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
def test_a_crash_around_any_call_loses_nothing_and_pays_for_nothing_twice(
    tmp_path: Path, after: bool
) -> None:
    whole = prepared(tmp_path / "whole")
    calls = die(whole, 10**9, after=after)
    expected = sorted(sent(whole))
    assert calls > 60
    assert len(expected) > 3
    for number in range(1 + after, calls + 1, 2):
        home = prepared(tmp_path / str(number))
        die(home, number, after=after)
        run(home)
        assert home.statuses() == {"a.md": REPORTED}, number
        assert sorted(sent(home)) == expected, number
        assert int(header(home)["parts"]) == len(expected) - 1
        assert header(home) | {"custom_id": "", "batch": ""} == header(whole) | {
            "custom_id": "",
            "batch": "",
        }
        assert parts(home, "a.md") == [], number
        assert list(home.store.groups()) == [], number
        assert all(batch.status in TERMINAL for batch in home.batches()), number
        assert kept(home) == [], number
        home.store.close()


def test_a_crash_while_a_failed_part_is_tried_again_pays_for_it_alone(tmp_path: Path) -> None:
    def failed_once(folder: Path) -> Home:
        home = prepared(folder)
        fail_some(home, "-0-0001-")
        run(home)
        assert home.statuses() == {"a.md": FAILED}
        home.simulator.faults.error_rate = 0
        assert requeue(home.deps, JOB, final=True) == 1
        return home

    whole = failed_once(tmp_path / "whole")
    calls = die(whole, 10**9, after=False)
    expected = sorted(sent(whole))
    for number in range(1, calls + 1, 3):
        home = failed_once(tmp_path / str(number))
        die(home, number, after=number % 2 == 0)
        run(home)
        assert home.statuses() == {"a.md": REPORTED}, number
        assert sorted(sent(home)) == expected, number
        home.store.close()


def test_a_crash_while_parts_fail_leaves_one_failure_that_names_the_part(tmp_path: Path) -> None:
    def failing(folder: Path) -> Home:
        home = prepared(folder)
        fail_some(home, "-0-0001-")
        return home

    calls = die(failing(tmp_path / "whole"), 10**9, after=False)
    for number in range(1, calls + 1, 3):
        home = failing(tmp_path / str(number))
        die(home, number, after=number % 2 == 0)
        run(home)
        assert home.statuses() == {"a.md": DocumentStatus.FAILED}, number
        failure = home.documents()["a.md"].failure
        assert failure is not None
        assert failure.message.startswith("part 2 of "), number
        home.store.close()
