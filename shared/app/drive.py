"""The laptop's timers: one loop that submits, polls, collects and reconciles until all is done.

Submitting and collecting go on beside it, so that the first reports come while the last batches
are still on their way, and a long batch keeps nobody from looking at the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from shared.app.collect_ended import collect_ended
from shared.app.deps import Deps
from shared.app.groups import change_job
from shared.app.pauses import ending_pause, lift_pause
from shared.app.poll import Looking, Polled
from shared.app.publish import publish_if_due
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from shared.domain.batch import LIVE, BatchStatus
from shared.domain.job import Job
from shared.domain.pause import PauseReason
from shared.domain.policy import EVER, MAX_BATCH_BYTES

_SHORTEST = timedelta(milliseconds=10)
_RETRY_SOON = timedelta(milliseconds=200)
_LONGEST = timedelta(seconds=60)
_BESIDE = timedelta(seconds=1)
"""What goes on beside the loop may make something due at any time."""

_ELSEWHERE = (BatchStatus.PLANNED, BatchStatus.IN_PROGRESS, BatchStatus.ENDED)
_RECONCILED = tuple(status for status in LIVE if status not in _ELSEWHERE)


class AccessRefused(Exception):
    """The provider doesn't take the key, or isn't at this address: nothing goes on until a person
    mends that."""


async def drive(
    deps: Deps,
    *,
    sleep: Callable[[float], Awaitable[None]],
    submitting: bool = True,
    waiting: bool = True,
) -> None:
    """Bring the job to its end: every document a report or a failure, every batch closed.

    Without `waiting`, returns once all that can be submitted now is, and what has ended is
    collected. Raises AccessRefused.
    Assumes to be the only process on this state, so it takes over what a dead one held.
    """
    _begin_anew(deps)
    await reconcile(deps, take_over=True)
    _check_access(deps)
    async with _Beside() as beside:
        timers = _Timers(deps, beside, submitting=submitting)
        while True:
            timers.submit_if_due()
            looked = await timers.look_if_due()
            timers.collect_if_due()
            for stale in list(deps.store.stale_jobs()):
                publish_if_due(deps, stale)
            await reconcile(deps)
            _check_access(deps)
            wake = timers.next_at()
            if not beside and (wake is None or not (waiting or looked.more)):
                return
            wait = _LONGEST if wake is None else min(max(wake - deps.clock(), _SHORTEST), _LONGEST)
            if beside:
                await beside.wait(min(wait, _BESIDE).total_seconds())
            else:
                await sleep(wait.total_seconds())
            _check_access(deps)


class _Timers:
    """What is due when. The first submit and the first collecting take over what the dead held."""

    def __init__(self, deps: Deps, beside: "_Beside", *, submitting: bool) -> None:
        self._deps = deps
        self._beside = beside
        self._submitting = submitting
        self._submit_from = deps.clock()
        self._submitted = self._collected = False
        self._looking = Looking(deps)

    def submit_if_due(self) -> None:
        """Begin to submit, beside everything else."""
        if self._submitting and not self._submitted:
            self._submitted = True
            self._beside.begin(submit, self._submit(take_over=True))
        elif _is_due(self._submit_at(), self._deps.clock()):
            self._beside.begin(submit, self._submit(take_over=False))

    def collect_if_due(self) -> None:
        """Begin to collect, beside everything else."""
        if not self._collected:
            self._collected = True
            self._beside.begin(collect_ended, collect_ended(self._deps, take_over=True))
        elif _is_due(self._collect_at(), self._deps.clock()):
            self._beside.begin(collect_ended, collect_ended(self._deps))

    async def look_if_due(self) -> Polled:
        """A round of looks, unless it isn't time yet: `more` is whether others are due still."""
        if self._looking.next_at <= self._deps.clock():
            polled = await self._looking.round()
            return polled if polled.unavailable is None else Polled()
        return Polled(more=_is_due(self._earliest(BatchStatus.IN_PROGRESS), self._deps.clock()))

    def next_at(self) -> datetime | None:
        """When something is due next that isn't under way; None when nothing is."""
        look_at = self._earliest(BatchStatus.IN_PROGRESS)
        times = [
            self._submit_at(),
            self._collect_at(),
            look_at and max(look_at, self._looking.next_at),
            self._earliest(*_RECONCILED),
        ]
        return min((time for time in times if time is not None), default=None)

    async def _submit(self, *, take_over: bool) -> None:
        await submit(self._deps, take_over=take_over)
        self._submit_from = self._deps.clock() + _RETRY_SOON

    def _submit_at(self) -> datetime | None:
        if not self._submitting or submit in self._beside:
            return None
        pause = self._deps.store.pause()
        soonest = max(self._submit_from, pause.until) if pause else self._submit_from
        times = [max(soonest, group.next_at or soonest) for group in self._deps.store.groups()]
        if planned := self._earliest(BatchStatus.PLANNED):
            times.append(max(soonest, planned))
        return min(times, default=None)

    def _collect_at(self) -> datetime | None:
        return None if collect_ended in self._beside else self._earliest(BatchStatus.ENDED)

    def _earliest(self, *statuses: BatchStatus) -> datetime | None:
        far = self._deps.clock() + EVER
        found = (self._deps.store.due(status, now=far, limit=1) for status in statuses)
        return min((batch.next_at for batches in found for batch in batches), default=None)


class _Beside:
    """What goes on beside the loop, one task for each kind of work.

    What a task raises comes out of `wait`. On leaving, what still runs is canceled and waited for:
    a `create` that is under way then still gets its answer.
    """

    def __init__(self) -> None:
        self._running: dict[object, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def __bool__(self) -> bool:
        return bool(self._running)

    def __contains__(self, kind: object) -> bool:
        return kind in self._running

    def begin(self, kind: object, work: Coroutine[None, None, None]) -> None:
        """Start work of a kind that isn't under way."""
        self._running[kind] = asyncio.create_task(work)

    async def wait(self, seconds: float) -> None:
        """Wait until some work is done, but not longer."""
        await asyncio.wait(
            self._running.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for kind, task in list(self._running.items()):
            if task.done():
                del self._running[kind]
                task.result()


def _is_due(time: datetime | None, now: datetime) -> bool:
    return time is not None and time <= now


def _begin_anew(deps: Deps) -> None:
    """Whoever starts a run has had the chance to mend what a person mends: try at once, and batches
    twice as large as went through before, as what stood in their way may be gone."""
    pause = deps.store.pause()
    if pause is not None and pause.reason is not PauseReason.RATE_LIMIT:
        lift_pause(deps)
    for name in sorted({group.job for group in deps.store.groups()}):
        known = deps.store.job(name)
        if known is not None and known.most_bytes is not None:
            change_job(deps.store, name, _with_larger_batches)


def _with_larger_batches(job: Job) -> Job:
    larger = 2 * (job.most_bytes or MAX_BATCH_BYTES)
    return replace(job, most_bytes=larger if larger < MAX_BATCH_BYTES else None)


def _check_access(deps: Deps) -> None:
    """Whatever call met it: submitting, looking, collecting or the listing for a doubt."""
    if pause := ending_pause(deps):
        raise AccessRefused(pause.message)
