"""Pauses of all submitting: declared when the provider says not now, lifted when one is taken."""

from shared.app.deps import Deps
from shared.domain.pause import Pause, extended
from shared.ports.batch_api import Unavailable
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
