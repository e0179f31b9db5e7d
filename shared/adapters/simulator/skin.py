"""HTTP around the core: requests in, answers out, each change saved before it is answered."""

import asyncio
import dataclasses
import mmap
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.faults import Fault, Faults
from shared.adapters.simulator.messages import ApiError, Cut, Framing, Request, Response
from shared.adapters.simulator.state import StateFolder

_PIECE = 256 << 10


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


class _UntilClosed(web.StreamResponse):
    """A body without a length that ends with its connection, which aiohttp would else chunk."""

    _length_check = False


class Skin:
    """Turns HTTP into `Simulator.apply` and back. Raises StateError for a damaged folder."""

    def __init__(self, simulator: Simulator, clock: Clock, state: Path | None) -> None:
        self._simulator = simulator
        self._clock = clock
        self._state = StateFolder(state) if state is not None else None
        if self._state is not None:
            clock.ahead = max(clock.ahead, self._state.load(simulator))

    def app(self) -> web.Application:
        """The application: the API's own paths, and controls below `/_simulator/`."""
        app = web.Application(client_max_size=0)
        app.router.add_get("/_simulator/faults", self._get_faults)
        app.router.add_post("/_simulator/faults", self._set_faults)
        app.router.add_post("/_simulator/clock", self._set_clock)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        async with _spooled(http, self._simulator.settings.max_bytes) as (body, length):
            request = Request(
                method=http.method,
                path=http.path,
                query=dict(http.query),
                headers={
                    name.lower(): ",".join(http.headers.getall(name)) for name in http.headers
                },
                body=body,
                length=length,
            )
            response = self._simulator.apply(self._clock.now(), request)
            if response.saves is not None:
                response = self._saved(response, response.saves)
        if response.delay_s:
            await asyncio.sleep(response.delay_s)
        if response.cut in (Cut.BEFORE, Cut.AFTER):
            _hang_up(http)
            return web.Response(status=500)
        if response.lines is None:
            return web.Response(
                status=response.status, headers=dict(response.headers), body=response.body
            )
        return await _stream(http, response)

    def _saved(self, response: Response, batch_id: str) -> Response:
        """The answer, once what it says is on the disk; a 500 when it can't be put there."""
        if self._state is None:
            return response
        try:
            self._state.save(self._simulator, batch_id, self._clock.ahead)
        except OSError as error:
            message = f"the simulator can't save its state: {error.strerror}"
            failed = ApiError(500, "api_error", message)
            return failed.response(response.headers.get("request-id", ""))
        return response

    async def _get_faults(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self._simulator.faults)
        return web.Response(body=body, content_type="application/json")

    async def _set_faults(self, http: web.Request) -> web.Response:
        try:
            self._simulator.faults = _read_faults(await http.read())
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=str(error))
        return await self._get_faults(http)

    async def _set_clock(self, http: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await http.read(), type=dict[str, float])
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=str(error))
        seconds = wanted.get("advance_s", 0.0)
        if seconds < 0 or wanted.keys() - {"advance_s"}:
            return web.Response(status=400, text='say {"advance_s": SECONDS}, 0 or more')
        self._clock.advance(seconds)
        changed = self._simulator.tick(self._clock.now())
        if self._state is not None:
            self._state.save_world(self._simulator, self._clock.ahead)
            for batch_id in changed:
                self._state.save(self._simulator, batch_id, self._clock.ahead)
        return web.json_response({"now": self._clock.now().isoformat()})


def _read_faults(data: bytes) -> Faults:
    """Faults from JSON; a misspelled one is an error and not no fault. Raises DecodeError."""
    raw = msgspec.json.decode(data, type=dict[str, Any])
    faults = msgspec.convert(raw, Faults)
    script = [one for one in raw.get("script", []) if isinstance(one, dict)]
    for given, known in ((raw, Faults), *((one, Fault) for one in script)):
        unknown = given.keys() - {entry.name for entry in dataclasses.fields(known)}
        if unknown:
            raise msgspec.ValidationError(f"no such fault: {', '.join(sorted(unknown))}")
    return faults


@asynccontextmanager
async def _spooled(http: web.Request, most: int) -> AsyncIterator[tuple[bytes | memoryview, int]]:
    """The body through a file, so that 256 MB don't have to be held.

    One that is too long is read to its end, so that the client gets its answer, and not kept.
    """
    size = 0
    with tempfile.TemporaryFile() as file:
        async for chunk in http.content.iter_chunked(_PIECE):
            size += len(chunk)
            if size <= most:
                file.write(chunk)
        file.flush()
        if not size or size > most:
            yield b"", size
            return
        with (
            mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapping,
            memoryview(mapping) as view,
        ):
            yield view, size


def _hang_up(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()


async def _stream(http: web.Request, response: Response) -> web.StreamResponse:
    """Send result lines in large pieces, as the framing has it, to where they are cut."""
    kind = _UntilClosed if response.framing is Framing.CLOSE else web.StreamResponse
    stream = kind(status=response.status, headers=dict(response.headers))
    if response.framing is Framing.CLOSE:
        stream.force_close()
    elif response.length is not None:
        stream.content_length = response.length
    await stream.prepare(http)
    buffer = bytearray()
    for line in response.lines or ():
        buffer += line
        if len(buffer) >= _PIECE:
            await stream.write(bytes(buffer))
            buffer.clear()
    if buffer:
        await stream.write(bytes(buffer))
    seen = response.cut is Cut.MID_LINE or (
        response.cut is Cut.LINE_END and response.framing is Framing.LENGTH
    )
    if seen and response.framing is not Framing.CLOSE:
        if http.transport is not None:
            http.transport.close()
        return stream
    await stream.write_eof()
    return stream
