"""The process around a command: its encoding, its standard streams, and how it leaves.

Nothing here is done on import, and nothing of it when a command is called in another's process.
"""

import contextlib
import gc
import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn, TextIO

from handlers.cli.faults import Fault

INTERRUPTED = 128 + signal.SIGINT
RESUME = "submitted batches go on at the provider, and the same command resumes from here"
"""What those commands say that submit from here."""

_STDOUT, _STDERR = 1, 2
_SHOW_CURSOR = b"\x1b[?25h"
_on_leaving = [""]


class OutputLost(Fault):
    """Standard output takes no more: its disk is full, say."""


def prepare() -> None:
    """Make this process docmill's own."""
    speak_utf8()
    _open_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    gc.set_threshold(100_000, 20, 100)  # a batch is many small values that make no cycles


def speak_utf8() -> None:
    """Start anew in Python's UTF-8 mode where the locale has names in another encoding.

    Names of files are UTF-8 whatever the locale says, and so is everything docmill writes. What
    Python takes names for is settled before its first line runs, hence a new start, in the same
    process; the mode itself is what keeps it from happening twice.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding().lower() in {"utf-8", "utf8"}:
        return
    os.environ["PYTHONUTF8"] = "1"  # for the simulator's process
    with contextlib.suppress(OSError):  # it goes on as it is
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


class _Stdout(io.FileIO):
    """Says what is wrong when it can't be written; a reader that went away is no fault."""

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputLost(f"standard output can't be written: {error.strerror}") from None


def _open_streams() -> None:
    """Streams that are there and take every character.

    A stream that is closed is opened on nothing: else the next file, the state say, would get its
    number, and what is printed.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(free, True)
    os.close(free)
    given = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(_STDOUT, "w", closefd=False)),
        encoding=given.encoding if given else "utf-8",
        errors="backslashreplace",
        line_buffering=given.line_buffering if isinstance(given, io.TextIOWrapper) else False,
    )
    if sys.stderr is None:
        sys.stderr = _nowhere()
    elif isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


def forget_output() -> None:
    """Don't try once more to write what could not be written."""
    sys.stdout = _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - until the process ends


def on_leaving(sentence: str) -> None:
    """What is said from now on when the command is interrupted: what is done, and what isn't."""
    _on_leaving[0] = sentence


def leave(number: int = signal.SIGINT, _frame: FrameType | None = None) -> NoReturn:
    """Leave at once, from wherever it is: the state is safe at every moment, as for `kill -9`.

    An exception would be held up: asyncio cancels its tasks first and waits for them.
    """
    word = "interrupted" if number == signal.SIGINT else "told to stop"
    with contextlib.suppress(OSError):
        if os.isatty(_STDOUT):
            os.write(_STDOUT, _SHOW_CURSOR)
        told = "; ".join(filter(None, (word, _on_leaving[0])))
        os.write(_STDERR, f"\ndocmill: {told}\n".encode())
    os._exit(128 + number)


def end(status: int, *, unread: int) -> NoReturn:
    """Out, without taking every module down first; `unread` is the status if nobody reads."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = unread
    except OutputLost as error:
        error.show()
        status = error.exit_code
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status)
