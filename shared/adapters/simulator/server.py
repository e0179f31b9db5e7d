"""Ways to run the simulator: inside an event loop, in a thread for tests, as a program."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.faults import Faults
from shared.adapters.simulator.settings import SimulatorSettings
from shared.adapters.simulator.skin import Clock, Skin

__all__ = ["HOST", "Clock", "Running", "Skin", "main_serve", "running_simulator", "serving"]

HOST = "127.0.0.1"
_START_S = 30.0
_STOP_S = 10.0


@asynccontextmanager
async def serving(
    simulator: Simulator, *, clock: Clock | None = None, port: int = 0, state: Path | None = None
) -> AsyncIterator[str]:
    """Serve on 127.0.0.1 while the block runs; the answer is the base URL. Raises OSError."""
    app = Skin(simulator, clock or Clock(), state).app()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://{HOST}:{bound}"
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Running:
    """A simulator that serves in a thread of its own."""

    base_url: str
    simulator: Simulator
    clock: Clock


@contextmanager
def running_simulator(
    *,
    seed: int = 0,
    settings: SimulatorSettings | None = None,
    faults: Faults | None = None,
    state: Path | None = None,
) -> Iterator[Running]:
    """Serve from a background thread while the block runs, for tests and trials."""
    simulator = Simulator(
        seed=seed, settings=settings or SimulatorSettings(), faults=faults or Faults()
    )
    clock = Clock()
    url: list[str] = []
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    leave: list[asyncio.Event] = []

    async def serve() -> None:
        async with serving(simulator, clock=clock, state=state) as base_url:
            loops.append(asyncio.get_running_loop())
            leave.append(asyncio.Event())
            url.append(base_url)
            ready.set()
            await leave[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_S):
            raise RuntimeError("the simulator did not start")
        yield Running(url[0], simulator, clock)
    finally:
        if loops:
            loops[0].call_soon_threadsafe(leave[0].set)
        thread.join(_STOP_S)


def main_serve(
    *,
    port: int,
    state_dir: Path | None,
    seed: int,
    duration_s: float,
    output_bytes: int = 0,
    until_stdin_closes: bool = False,
    announce: Callable[[str], object],
) -> None:
    """Serve until SIGINT or SIGTERM, or until the parent's end of stdin closes. Raises OSError."""
    settings = SimulatorSettings(duration_s=duration_s, output_bytes=output_bytes)

    async def serve() -> None:
        leave = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, leave.set)
        if until_stdin_closes:
            threading.Thread(target=_wait_for_end, args=(loop, leave), daemon=True).start()
        simulator = Simulator(seed=seed, settings=settings)
        async with serving(simulator, port=port, state=state_dir) as base_url:
            announce(base_url)
            await leave.wait()

    asyncio.run(serve())


def _wait_for_end(loop: asyncio.AbstractEventLoop, leave: asyncio.Event) -> None:
    """Read the descriptor itself: a lock on `sys.stdin` held here would crash the exit."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(leave.set)
