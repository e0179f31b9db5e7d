"""The bundled simulator as a process of its own, so that a run behaves as it does with the API."""

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handlers.cli.faults import Fault

_START_S = 60
_STOP_S = 5


@contextmanager
def simulator_process(state: Path) -> Iterator[str]:
    """Start the simulator on a free port; the answer is its base URL.

    It keeps its batches in `state`, so a run that was killed finds them again, and it ends when
    this process does, however that ends: its standard input closes.
    """
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "handlers.cli.main", "simulate", "--port", "0"]
    process = subprocess.Popen(  # noqa: S603 - our own module, no words of the user's
        [*command, "--state", str(state), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield _base_url(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _base_url(process: "subprocess.Popen[bytes]") -> str:
    if process.stdout is None:
        raise AssertionError("the simulator's output is a pipe")
    ready, _, _ = select.select([process.stdout], [], [], _START_S)
    line = process.stdout.readline().decode().strip() if ready else ""
    if not line.startswith("http"):
        raise Fault("the simulator did not start; run `docmill simulate --port 0` to see why")
    return line
