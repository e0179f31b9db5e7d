"""The provider as a process of its own, which writes down what it was asked: `served.py FOLDER`.

It says its address on standard output and ends when its standard input closes. In FOLDER,
`ledger.jsonl` has a line for each batch that it took (what is paid for) and `calls.jsonl` one for
each step of a call, both written before anybody can see what the step did.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
from aiohttp import web

from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.core import BATCHES, Simulator, SimulatorSettings
from shared.adapters.simulator.messages import Request, Response
from shared.adapters.simulator.server import HOST, Clock, Skin
from tests.faults.documents import read_mark

CAME, DONE, ANSWERED = "came", "done", "answered"


@dataclass(slots=True, kw_only=True)
class Pace:
    """Seconds: before a create is read, between what a call did and its answer, per line of
    results (while which nobody else is answered), and how long batches take from now on."""

    before_s: float = 0.0
    answer_s: float = 0.0
    line_s: float = 0.0
    duration_s: float = 0.5


class Noting(Simulator):
    """The simulator, with its ledger."""

    def __init__(self, folder: Path, settings: SimulatorSettings) -> None:
        super().__init__(seed=3, settings=settings)
        self.pace = Pace()
        self._ledger = (folder / "ledger.jsonl").open("ab", buffering=0)
        self._calls = (folder / "calls.jsonl").open("ab", buffering=0)

    def set_pace(self, pace: Pace) -> None:
        """Be as slow as that from now on."""
        self.pace = pace
        self.settings = replace(self.settings, duration_s=pace.duration_s)

    def note(self, call: str, step: str) -> None:
        """Write down a step of a call."""
        self._calls.write(json.dumps({"call": call, "step": step}).encode() + b"\n")

    def apply(self, now: datetime, request: Request) -> Response:
        """Answer a request, and write down what that did."""
        before = self.created
        response = super().apply(now, request)
        if self.created > before:
            sent = msgspec.json.decode(request.body)["requests"]
            made = next(reversed(self.batches))
            line = {"batch": made, "requests": [[r["custom_id"], *read_mark(r)] for r in sent]}
            self._ledger.write(json.dumps(line).encode() + b"\n")
        if not request.path.endswith("/results"):
            self.note(_name(request.method, request.path), DONE)
        return response

    def _lines(self, batch: SimulatedBatch) -> Iterator[bytes]:
        for line in super()._lines(batch):
            if self.pace.line_s:
                time.sleep(self.pace.line_s)
            yield line


def _name(method: str, path: str) -> str:
    if path == BATCHES:
        return "create" if method == "POST" else "list"
    last = path.rsplit("/", 1)[-1]
    return last if last in ("results", "cancel") else "retrieve"


def application(simulator: Noting, clock: Clock) -> web.Application:
    """The simulator's own application, slowed down."""

    @web.middleware
    async def paced(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/_pace":
            simulator.set_pace(msgspec.json.decode(await request.read(), type=Pace))
            return web.json_response(asdict(simulator.pace))
        if request.path.startswith("/_"):
            return await handler(request)
        call = _name(request.method, request.path)
        simulator.note(call, CAME)
        if call == "create" and simulator.pace.before_s:
            await asyncio.sleep(simulator.pace.before_s)
        response = await handler(request)
        if call == "results":
            simulator.note(call, DONE)
        if simulator.pace.answer_s:
            await asyncio.sleep(simulator.pace.answer_s)
        simulator.note(call, ANSWERED)
        return response

    app = Skin(simulator, clock, None).app()
    app.middlewares.append(paced)
    return app


async def serve(folder: Path, settings: SimulatorSettings) -> None:
    """Serve until standard input closes."""
    simulator = Noting(folder, settings)
    runner = web.AppRunner(application(simulator, Clock()), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        print(f"http://{HOST}:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - the parent reads it
        await asyncio.to_thread(sys.stdin.buffer.read)
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output-bytes", type=int, default=0)
    words = parser.parse_args()
    logging.getLogger("aiohttp").setLevel(
        logging.CRITICAL
    )  # its clients are killed, as they should
    settings = SimulatorSettings(duration_s=Pace().duration_s, output_bytes=words.output_bytes)
    asyncio.run(serve(words.folder, settings))


if __name__ == "__main__":
    main()
