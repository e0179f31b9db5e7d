"""When a display is shown new numbers: soon after they may have changed, and now and then."""

import asyncio
import time
from collections.abc import Callable

from handlers.cli.display import SIGN_OF_LIFE_S, Display
from shared.domain.polling import affordable
from shared.domain.summary import Summary

_APART_S = 1.0
_CHANGES_NUMBERS = frozenset(
    {
        "taken_in",
        "batch_submitted",
        "batch_collected",
        "batch_settled",
        "batch_checked",
        "documents_held",
    }
)


class Progress:
    """Tells a display of events and numbers. Adding a job up never takes most of the time."""

    def __init__(
        self,
        display: Display,
        summary: Callable[[], Summary],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display = display
        self._summary = summary
        self._clock = clock
        self._stale = False
        self._took = 0.0
        self._shown_at = clock()

    def emit(self, event: str, /, **facts: object) -> None:
        """Tell of an event, and of the numbers if it changed them."""
        self._display.tell(event, facts)
        self._stale = self._stale or event in _CHANGES_NUMBERS
        self.look()

    def look(self) -> None:
        """Show the numbers if they may have changed, or were not shown for long."""
        began = self._clock()
        ago = began - self._shown_at
        changed = self._stale and ago >= _APART_S and affordable(ago=ago, took=self._took)
        if not changed and ago < SIGN_OF_LIFE_S:
            return
        self._display.refresh(self._summary())
        self._stale = False
        self._shown_at = self._clock()
        self._took = self._shown_at - began

    async def keep_up(self) -> None:
        """Look again and again, until canceled."""
        while True:
            await asyncio.sleep(_APART_S)
            self.look()
