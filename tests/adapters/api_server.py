"""Servers for the Batches API adapter to meet: well-behaved ones, and ones that break off."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from shared.adapters.anthropic_api import AnthropicApi, Timeouts

KEY = "test-key-that-nobody-may-see"
QUICK = Timeouts(connect=0.3, silence=0.3, call=2.0, create=0.8)
PATIENT = Timeouts(connect=5.0, silence=10.0, call=15.0, create=15.0)


@dataclass(frozen=True)
class Content:
    """A request body of given pieces, or of one piece many times."""

    pieces: Sequence[bytes] = (b'{"requests":', b"[]}")
    times: int = 1
    says: int | None = None

    @property
    def length(self) -> int:
        real = sum(map(len, self.pieces)) * self.times
        return real if self.says is None else self.says

    def chunks(self) -> Iterator[bytes]:
        for _ in range(self.times):
            yield from self.pieces


def batch(**fields: Any) -> dict[str, Any]:
    """A batch as the API describes it."""
    return {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {
            "processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0,
        },
        "created_at": "2026-11-23T10:00:00.123456Z",
        "expires_at": "2026-11-24T10:00:00.123456Z",
        "ended_at": None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": None,
        **fields,
    }  # fmt: skip


def error(kind: str, message: str = "no", code: str | None = None) -> bytes:
    """An error answer's body."""
    inner: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        inner["details"] = {"error_code": code}
    return json.dumps({"type": "error", "error": inner, "request_id": "req_1"}).encode()


@dataclass
class Seen:
    """What reached a server."""

    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def posts(self) -> int:
        return sum(request.method == "POST" for request in self.requests)


def api(base_url: str, *, timeouts: Timeouts = PATIENT, **options: Any) -> AnthropicApi:
    """The adapter under test."""
    return AnthropicApi(api_key=KEY, base_url=base_url, timeouts=timeouts, **options)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def http_server(handler: Handler, *, keep: bool = True) -> AsyncIterator[tuple[str, Seen]]:
    """Serve one handler; `keep`: read each body whole before."""
    seen = Seen()

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.requests.append(request)
        if keep:
            seen.bodies.append(await request.read())
        return await handler(request)

    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


def answering(
    body: bytes | dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Handler:
    """A handler that always answers the same."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, body=content, headers=headers)

    return handle


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk, ssl: Any = None) -> AsyncIterator[tuple[int, Seen]]:
    """Serve connections byte by byte; each is aborted when `talk` is done with it."""
    seen = Seen()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.connections += 1
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One whole request: its head and the body that its length announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            head += await reader.readexactly(int(line.split(b":")[1]))
    return head
