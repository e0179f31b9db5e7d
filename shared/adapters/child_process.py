"""A child process that answers one message at a time and may die of any of them.

It gets no secret, is started when it is first needed, and anew when it died. It needs no shared
memory and no semaphores, so it works in a Lambda function too.
"""

import os
import selectors
import subprocess
import sys
from contextlib import suppress
from typing import IO

_LENGTH = 8


class TooSlow(Exception):
    """No answer came within the time given; the child is ended."""


class ChildProcess:
    """Runs a module of ours with this interpreter. Not for several threads at once.

    `process` is the child, while there is one. A child whose parent is gone reads the end of its
    input, and ends by itself.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = ("-m", module, *arguments)
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, message: bytes, *, patience_s: float) -> bytes | None:
        """The answer, or None if the child died over it. Raises TooSlow."""
        if self.process is not None and self.process.poll() is not None:
            self.close()  # it died of something else, between two messages
        child = self.process or self.start()
        try:
            answer = _ask(child, message, patience_s)
        except BaseException:
            self.close()
            raise
        if answer is None:
            self.close()
        return answer

    def close(self) -> None:
        """End the child; the next message starts another."""
        child, self.process = self.process, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the child, which the first message does otherwise."""
        path = os.pathsep.join(part for part in sys.path if part)
        self.process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": path, "PYTHONUTF8": "1"},
        )
        return self.process


def _ask(child: "subprocess.Popen[bytes]", message: bytes, patience_s: float) -> bytes | None:
    if child.stdin is None or child.stdout is None:
        raise AssertionError("both are pipes")
    try:
        write_frame(child.stdin, message)
    except BrokenPipeError:
        return None
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        if not ready.select(patience_s):
            raise TooSlow
    return read_frame(child.stdout)


def read_frame(stream: IO[bytes]) -> bytes | None:
    """One message of either direction, or None where the stream ends."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    return body if len(body) == size else None


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """One message."""
    stream.write(len(body).to_bytes(_LENGTH, "big"))
    stream.write(body)
    stream.flush()
