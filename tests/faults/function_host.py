"""Runs functions as Lambda does, each invocation in a process of its own: `function_host.py`.

A line on standard input asks for one: handler, event, time-out, environment. The answer is its
process's id; what the function returns goes into the file `answer`. Everything is imported once,
before the processes split off, as an SDK that takes two seconds is no fault to look at. Whoever
asks ends the process when its time is over: nothing here asks the function to stop.
"""

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import anthropic  # noqa: F401 - what the functions import later

from handlers import collect, intake, poll, reconcile, submit
from shared.app import results
from shared.wiring import aws

HANDLERS = {module.__name__: module for module in (collect, intake, poll, reconcile, submit)}


class Deadline:
    """Lambda's context, whose time really passes."""

    aws_request_id = "faults"

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._ends - time.monotonic()) * 1000))


def _run(asked: dict[str, Any]) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.environ.update(asked["environment"])
    results._FLUSH_LINES = asked["flush_lines"]
    aws.home()  # before its time begins, as in a function that is warm
    Path(asked["began"]).touch()
    handler = import_module(asked["handler"]).handler
    try:
        told = {"answer": handler(asked["event"], Deadline(asked["timeout_s"]))}
    except Exception as error:  # noqa: BLE001 - whatever it is, Lambda tells it
        told = {"error": f"{type(error).__name__}: {error}"}
    answer = Path(asked["answer"])
    answer.with_suffix(".part").write_text(json.dumps(told))
    answer.with_suffix(".part").rename(answer)


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _run(json.loads(line))
            finally:
                os._exit(0)
        print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
