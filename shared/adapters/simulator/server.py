"""The simulator over HTTP, for the official SDK's client: an aiohttp skin that holds the clock."""

import asyncio
import contextlib
import mmap
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec
from aiohttp import web

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Faults
from shared.adapters.simulator.messages import Cut, Request, Response

HOST = "127.0.0.1"
_PIECE = 256 << 10
_START_S = 30.0
_STOP_S = 10.0
_SUFFIX = ".batch.json"


@dataclass(slots=True)
class Clock:
    """The machine's clock, moved forward on demand."""

    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        """The simulator's time."""
        return datetime.now(UTC) + self.ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(seconds=seconds)


class Skin:
    """Turns HTTP into `Simulator.apply` and back; saves each change before it is answered."""

    def __init__(self, simulator: Simulator, clock: Clock, state: Path | None) -> None:
        self._simulator = simulator
        self._clock = clock
        self._state = state
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
            for saved in sorted(state.glob("*" + _SUFFIX)):
                simulator.load(saved.read_bytes())

    def app(self) -> web.Application:
        """The application: the API's own paths, and controls below `/_simulator/`."""
        app = web.Application(client_max_size=0)
        app.router.add_get("/_simulator/faults", self._get_faults)
        app.router.add_post("/_simulator/faults", self._set_faults)
        app.router.add_post("/_simulator/clock", self._set_clock)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        with tempfile.TemporaryFile() as file, await _spooled(http, file) as body:
            request = Request(
                method=http.method,
                path=http.path,
                query=dict(http.query),
                headers={name.lower(): value for name, value in http.headers.items()},
                body=body,
            )
            response = self._simulator.apply(self._clock.now(), request)
        self._save(http)
        if response.cut in (Cut.BEFORE, Cut.AFTER):
            _hang_up(http)
            return web.Response(status=500)
        if response.lines is None:
            return web.Response(
                status=response.status, headers=dict(response.headers), body=response.body
            )
        return await _stream(http, response)

    def _save(self, http: web.Request) -> None:
        if self._state is None or http.method == "GET":
            return
        saved = {path.name.removesuffix(_SUFFIX) for path in self._state.glob("*" + _SUFFIX)}
        for gone in saved - self._simulator.batches.keys():
            (self._state / (gone + _SUFFIX)).unlink()
        touched = self._simulator.batches.keys() - saved
        named = http.path.rstrip("/").removesuffix("/cancel").rsplit("/", 1)[-1]
        for batch_id in touched | ({named} & self._simulator.batches.keys()):
            data = self._simulator.dump(batch_id)
            if data is not None:
                part = self._state / (batch_id + ".part")
                part.write_bytes(data)
                part.replace(self._state / (batch_id + _SUFFIX))

    async def _get_faults(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self._simulator.faults)
        return web.Response(body=body, content_type="application/json")

    async def _set_faults(self, http: web.Request) -> web.Response:
        try:
            self._simulator.faults = msgspec.json.decode(await http.read(), type=Faults)
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=str(error))
        return await self._get_faults(http)

    async def _set_clock(self, http: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await http.read(), type=dict[str, float])
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=str(error))
        self._clock.advance(wanted.get("advance_s", 0.0))
        return web.json_response({"now": self._clock.now().isoformat()})


@contextmanager
def _mapped(file: BinaryIO, size: int) -> Iterator[memoryview]:
    with (
        mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapping,
        memoryview(mapping) as view,
    ):
        yield view


async def _spooled(
    http: web.Request, file: BinaryIO
) -> contextlib.AbstractContextManager[bytes | memoryview]:
    """The body through a file, so that 256 MB don't have to be held."""
    size = 0
    async for chunk in http.content.iter_chunked(_PIECE):
        file.write(chunk)
        size += len(chunk)
    file.flush()
    return _mapped(file, size) if size else contextlib.nullcontext(b"")


def _hang_up(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()


async def _stream(http: web.Request, response: Response) -> web.StreamResponse:
    """Send result lines in large pieces; a cut at a line's end looks like a proper end."""
    stream = web.StreamResponse(status=response.status, headers=dict(response.headers))
    await stream.prepare(http)
    buffer = bytearray()
    for line in response.lines or ():
        buffer += line
        if len(buffer) >= _PIECE:
            await stream.write(bytes(buffer))
            buffer.clear()
    if buffer:
        await stream.write(bytes(buffer))
    if response.cut is Cut.MID_LINE:
        _hang_up(http)
        return stream
    await stream.write_eof()
    return stream


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
    while sys.stdin.buffer.read(4096):
        pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(leave.set)
