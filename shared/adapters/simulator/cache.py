"""The prompt cache: beginnings of prompts, each kept for some time since it was last used."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

_SHORT, _HOUR = timedelta(minutes=5), timedelta(hours=1)


@dataclass(slots=True)
class Cache:
    """What is in it, as batches are created: when a row is reached is not asked."""

    now: datetime | None = None
    _until: dict[str, datetime] = field(default_factory=dict)

    def holds(self, prefix: str) -> bool:
        """Whether this beginning can be read."""
        until = self._until.get(prefix)
        return until is not None and self.now is not None and self.now < until

    def write(self, prefix: str, *, hour: bool) -> None:
        """Keep it, or keep it on."""
        if self.now is not None:
            until = self.now + (_HOUR if hour else _SHORT)
            self._until[prefix] = max(until, self._until.get(prefix, until))

    def tick(self, now: datetime) -> None:
        """Let go of what is over."""
        self.now = now
        for prefix in [prefix for prefix, until in self._until.items() if until <= now]:
            del self._until[prefix]
