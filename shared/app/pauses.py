"""Pauses of all submitting: declared when the provider says not now, lifted when one is taken."""

from shared.app.deps import Deps
from shared.domain.pause import Pause, PauseReason, extended
from shared.ports.batch_api import ApiError, Unavailable
from shared.ports.store import StaleWrite


def current_pause(deps: Deps) -> Pause | None:
    """The pause, unless it is over."""
    pause = deps.store.pause()
    return pause if pause and pause.until > deps.clock() else None


def declare_pause(deps: Deps, error: Unavailable) -> Pause:
    """Pause all submitting, longer each time in a row and never less than the server asked."""
    while True:
        pause = extended(
            deps.store.pause(),
            now=deps.clock(),
            reason=error.reason,
            message=error.message,
            asked=error.retry_after,
        )
        try:
            pause = deps.store.swap_pause(pause)
        except StaleWrite:
            continue
        deps.emit(
            "submitting_paused",
            reason=pause.reason,
            message=pause.message,
            until=pause.until.isoformat(),
        )
        return pause


def pause_if_refused(deps: Deps, error: ApiError) -> None:
    """Pause when it is the key that is refused, at whatever call: a run on a laptop ends with it.

    Any other error is of the call at hand.
    """
    if isinstance(error, Unavailable) and error.reason is PauseReason.ACCESS:
        declare_pause(deps, error)


def ending_pause(deps: Deps) -> Pause | None:
    """The pause that only a person ends, so that nothing of a run on a laptop can go on."""
    pause = deps.store.pause()
    if pause is not None and pause.reason is PauseReason.ACCESS:
        return pause
    return None


def lift_pause(deps: Deps) -> None:
    """Go on submitting, unless the pause is extended at this very moment."""
    pause = deps.store.pause()
    if pause is None:
        return
    try:
        deps.store.lift_pause(pause)
    except StaleWrite:
        return
    deps.emit("submitting_resumed")
