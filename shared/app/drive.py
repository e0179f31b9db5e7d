"""The laptop's timers: one loop that submits, polls, collects and reconciles until all is done."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from shared.app.collect import collect
from shared.app.deps import Deps
from shared.app.pauses import lift_pause
from shared.app.poll import poll
from shared.app.publish import publish_if_due
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from shared.domain.batch import LIVE, BatchStatus
from shared.domain.pause import Pause, PauseReason
from shared.domain.policy import EVER
from shared.ports.batch_api import Unavailable

_SHORTEST = timedelta(milliseconds=10)
_RETRY_SOON = timedelta(milliseconds=200)
_LONGEST = timedelta(seconds=60)
_ENDED_AT_ONCE = 1000


class CredentialsRefused(Exception):
    """The provider doesn't take the key: nothing goes on until a person mends that."""


async def drive(
    deps: Deps,
    *,
    sleep: Callable[[float], Awaitable[None]],
    submitting: bool = True,
    waiting: bool = True,
) -> None:
    """Bring the job to its end: every document a report or a failure, every batch closed.

    Without `waiting`, returns after one round: all that can be submitted now is, and what has ended
    is collected. Raises CredentialsRefused.
    Assumes to be the only process on this state, so it takes over what a dead one held.
    """
    _forget_old_pause(deps)
    await reconcile(deps, take_over=True)
    first = True
    while True:
        if submitting:
            done = await submit(deps, take_over=first)
            _check_credentials(done.pause)
        polled = await poll(deps)
        if polled.unavailable is not None:
            _check_key(polled.unavailable)
        due_by = deps.clock() + (EVER if first else timedelta(0))
        for batch in deps.store.due(BatchStatus.ENDED, now=due_by, limit=_ENDED_AT_ONCE):
            await collect(deps, batch.id, take_over=first)
        for stale in list(deps.store.stale_jobs()):
            publish_if_due(deps, stale)
        await reconcile(deps)
        first = False
        if not waiting:
            return
        wake = _next_look(deps, submitting=submitting)
        if wake is None:
            return
        wait = min(max(wake - deps.clock(), _SHORTEST), _LONGEST)
        await sleep(wait.total_seconds())


def _next_look(deps: Deps, *, submitting: bool) -> datetime | None:
    """When something is due next; None when nothing is left to wait for."""
    far = deps.clock() + EVER
    pause = deps.store.pause()
    held_until = pause.until if pause else deps.clock()
    times = [
        max(batch.next_at, held_until) if status is BatchStatus.PLANNED else batch.next_at
        for status in LIVE
        for batch in deps.store.due(status, now=far, limit=1)
        if submitting or status is not BatchStatus.PLANNED
    ]
    if submitting:
        soon = max(held_until, deps.clock() + _RETRY_SOON)
        times += [max(soon, group.next_at or soon) for group in deps.store.groups()]
    return min(times, default=None)


def _forget_old_pause(deps: Deps) -> None:
    """Whoever starts a run has had the chance to mend what a person mends: try at once."""
    pause = deps.store.pause()
    if pause is not None and pause.reason is not PauseReason.RATE_LIMIT:
        lift_pause(deps)


def _check_credentials(pause: Pause | None) -> None:
    if pause is not None and pause.reason is PauseReason.CREDENTIALS:
        raise CredentialsRefused(pause.message)


def _check_key(error: Unavailable) -> None:
    if error.reason is PauseReason.CREDENTIALS:
        raise CredentialsRefused(error.message)
