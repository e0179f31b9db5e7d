"""Runs: use cases that take turns, one port call at a time, all in one thread.

Each runs in a greenlet of its own and hands control back before every call on a port, so that
any order of calls can be had, and had again. A crash is raised at a call and nobody catches it;
what the run had not written by then is lost, and no call of it has an effect any more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

from greenlet import getcurrent, greenlet

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Crash(BaseException):
    """The process is gone: killed, out of time, or without power."""


class Loop(asyncio.AbstractEventLoop):
    """The least event loop that tasks and gather need: first come, first served; no time, no I/O.

    What is waited for with a time-out comes at once, or not at all: timers never go off.
    The asyncio of one thread knows one running loop, so whoever switches between runs must take
    it along (`Run.pause`).
    """

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: list[asyncio.Task[Any]] = []

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run to the end, as `asyncio.run` does."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._ready.popleft()._run()
            found: T = task.result()
            return found
        finally:
            asyncio._set_running_loop(None)
            for left in self._tasks:
                if not left.done():
                    left.get_coro().close()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **named: Any) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, **named)
        self._tasks.append(task)
        return task

    def call_soon(
        self,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def time(self) -> float:
        return 0.0

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return asyncio.TimerHandle(when, callback, args, self, context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Args]], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It wasn't going to go off."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a crash leaves unfinished is nobody's business."""


def run_alone(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, for a run."""
    return Loop().run(main)  # type: ignore[abstract]  # the rest is never asked for


class Run:
    """One use case under way. `error` is what escaped it; `crashed` is why it was killed."""

    def __init__(
        self,
        name: str,
        work: Callable[["Run"], None],
        *,
        begun: datetime,
        life: timedelta,
        skew: timedelta,
    ) -> None:
        self.name = name
        self.ends = begun + life
        self.skew = skew
        self.crashed = ""
        self.done = False
        self.error: Exception | None = None
        self._work = work
        self._greenlet = greenlet(self._main)

    @property
    def ok(self) -> bool:
        """Whether it came to its end."""
        return self.done and not self.crashed and self.error is None

    def resume(self) -> None:
        """Go on to the next call."""
        self._greenlet.switch()

    def pause(self) -> None:
        """Let the others have their turn. Raises Crash when it was killed meanwhile."""
        loop = asyncio._get_running_loop()
        if loop is None:
            self._greenlet.parent.switch()
        else:
            task = asyncio.current_task(loop)
            if task is not None:
                asyncio._leave_task(loop, task)
            asyncio._set_running_loop(None)
            self._greenlet.parent.switch()
            asyncio._set_running_loop(loop)
            if task is not None:
                asyncio._enter_task(loop, task)
        self.check_alive()

    def check_alive(self) -> None:
        """The dead make no calls. Raises Crash."""
        if self.crashed:
            raise Crash(self.crashed)

    def kill(self, why: str) -> None:
        """From now on no call has an effect. Raises Crash when it is its own turn."""
        self.crashed = why
        if getcurrent() is self._greenlet:
            raise Crash(why)
        self._greenlet.switch()

    def _main(self) -> None:
        try:
            self._work(self)
        except Crash:
            pass
        except Exception as error:  # noqa: BLE001 - the world judges what escaped
            self.error = error
        finally:
            self.done = True
