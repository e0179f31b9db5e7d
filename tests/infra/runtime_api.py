"""Lambda's side of a function: the runtime API, and the process that is the function.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

DIST = Path(__file__).parents[2] / "dist"
_NEXT = "/2018-06-01/runtime/invocation/next"
_START_S = 30.0


class TimedOut(Exception):
    """The function's time was over, and its process was ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered; `error` is its kind if it failed."""

    value: Any
    error: str
    seconds: float


@dataclass(slots=True)
class _Line:
    """Between one function and who calls it."""

    asked: "queue.Queue[tuple[str, bytes, float]]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, bytes]]" = field(default_factory=queue.Queue)
    idle: threading.Event = field(default_factory=threading.Event)


class _Api(BaseHTTPRequestHandler):
    line: ClassVar[_Line]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert self.path == _NEXT
        self.line.idle.set()
        number, event, deadline = self.line.asked.get()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", number)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:r:1:function:f")
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
        self.send_header("Content-Type", "application/json")  # without it, its client crashes
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.line.answers.put((self.path.rpartition("/")[2], body))

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Nothing: a process that was ended leaves its connection as it is."""


class Function:
    """One function as Lambda would run it, from its package; begins anew when its process ended."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.init_s = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = environment
        self._log = log
        self._line = _Line()
        handler = type("Api", (_Api,), {"line": self._line})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._calls = 0
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def start(self) -> None:
        """Bring the process to where it asks for its first event."""
        package = DIST / "functions" / self.name
        address = f"127.0.0.1:{self._server.server_address[1]}"
        environment = {
            **self._environment,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_RUNTIME_API": address,
            "LAMBDA_TASK_ROOT": str(package),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join((str(package), str(DIST / "runtime"))),
        }
        python = (DIST / "python").read_text(encoding="utf-8").strip()
        handler = f"handlers.{self.name.lower()}.handler"
        self._line.idle.clear()
        began = time.monotonic()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [python, "-m", "awslambdaric", handler],
                cwd=package,
                env=environment,
                stdout=log,
                stderr=log,
            )
        assert self._line.idle.wait(_START_S), self.log()
        self.init_s = time.monotonic() - began

    def __call__(self, event: object, *, seconds: float = 30.0) -> Answer:
        """One invocation. Raises TimedOut when it isn't answered within `seconds`."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        self._calls += 1
        began = time.monotonic()
        body = json.dumps(event).encode()
        deadline = time.time() + seconds
        self._line.asked.put((f"request-{self._calls}", body, deadline))
        try:
            kind, answer = self._line.answers.get(timeout=seconds)
        except queue.Empty:
            self.end()
            raise TimedOut(self.name) from None
        value = json.loads(answer)
        error = value["errorType"] if kind == "error" else ""
        return Answer(value=value, error=error, seconds=time.monotonic() - began)

    def has_loaded(self, library: str) -> bool:
        """Whether its process has mapped a file of this name."""
        assert self.process is not None
        maps = Path(f"/proc/{self.process.pid}/maps").read_text(encoding="utf-8")
        return library in maps

    def peak_mib(self) -> int:
        """Its memory at its largest."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        [line] = [each for each in status.splitlines() if each.startswith("VmHWM")]
        return int(line.split()[1]) // 1024

    def cpu_ms(self) -> float:
        """Its CPU time so far, user and system, of all of its threads."""
        assert self.process is not None
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text(encoding="utf-8")

    def end(self) -> None:
        """Kill the process, as Lambda does when its time is over."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        """End it for good."""
        self.end()
        with suppress(OSError):
            self._server.shutdown()
        self._server.server_close()


@contextmanager
def running(name: str, environment: Mapping[str, str], folder: Path) -> Iterator[Function]:
    """A function that is ended when the block is."""
    function = Function(name, environment, folder / f"{name}.log")
    try:
        yield function
    finally:
        function.close()
