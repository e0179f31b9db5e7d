"""Templates that could outgrow any bound are rendered in a process that may die of it.

minijinja's fuel bounds what a template does, not what it holds: a few list additions, or one width
of a format, take all memory there is, and values nested deep enough end the process. So whatever is
not plain (`shared.domain.template.is_plain`) is rendered by a child with a limit of its own, which
gets no secret, and whose death is a fault of the document at hand.
"""

import json
import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from shared.domain.template import NOTHING, Own, PromptError

MEMORY_BYTES = 1 << 30
"""Address space of the child: twice what a template within its fuel was seen to need."""

PATIENCE_S = 60.0
"""How long one document may take; within the fuel it is a few seconds."""

_LENGTH = 8
_DIED = "the template takes too much memory or nests its values too deep for this document"
_SLOW = f"the template takes more than {PATIENCE_S:.0f} seconds for this document"


class TemplateGuard:
    """Renders in a child process that is started when it is first needed, and anew when it died.

    Not for several threads at once. A child whose parent is gone ends by itself.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, patience_s: float = PATIENCE_S) -> None:
        self._memory = memory_bytes
        self._patience = patience_s
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(
        self, source: str, values: Mapping[str, object], salt: bytes, own: Own = NOTHING
    ) -> str:
        """The text of the template `source`. Raises PromptError."""
        message = pickle.dumps((source, dict(values), salt, own))
        child = self._child or self._start()
        try:
            answer = self._ask(child, message)
        except BaseException:
            self.close()
            raise
        if answer is None:
            self.close()
            raise PromptError(_DIED, kind="Died", line=None)
        found = json.loads(answer)
        if "text" in found:
            return str(found["text"])
        raise PromptError(found["message"], kind=found["kind"], line=found["line"])

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join(part for part in sys.path if part)
        self._child = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, "-m", "shared.adapters.template_worker", str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": path, "PYTHONUTF8": "1"},
        )
        return self._child

    def _ask(self, child: "subprocess.Popen[bytes]", message: bytes) -> bytes | None:
        """The answer, or None if the child died over it."""
        if child.stdin is None or child.stdout is None:
            raise AssertionError("both are pipes")
        try:
            write_frame(child.stdin, message)
        except BrokenPipeError:
            return None
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            if not ready.select(self._patience):
                raise PromptError(_SLOW, kind="OutOfTime", line=None)
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
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()
