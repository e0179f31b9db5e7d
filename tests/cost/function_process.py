"""The functions in a process of their own, whose CPU and log are theirs alone.

A line on standard input asks for one: its module and its event. The answer is what it returned, the
CPU seconds it took and the bytes it logged. It ends when standard input closes.
"""

import io
import json
import sys
import time
from importlib import import_module

import anthropic  # noqa: F401 - a cold start is no document's cost

from handlers.events import Context
from shared.wiring import aws


class _Time(Context):
    aws_request_id = "cost"

    def get_remaining_time_in_millis(self) -> int:
        return 280_000


class _Counted(io.StringIO):
    """Standard output, of which only the length is kept."""

    size = 0

    def write(self, text: str) -> int:
        self.size += len(text.encode())
        return len(text)


def main() -> None:
    """Serve until standard input closes."""
    answers, log = sys.stdout, _Counted()
    sys.stdout = log
    aws.home()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        handler = import_module(asked["module"]).handler
        log.size = 0
        began = time.process_time()
        answer = handler(asked["event"], _Time())
        told = {"answer": answer, "cpu_s": time.process_time() - began, "log_bytes": log.size}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
