"""When to look again: soon while things are young, rarer as they age, politely after errors."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_SOONEST = timedelta(seconds=2)
_AGE_SHARE = 0.25
_SLOW_AFTER = timedelta(hours=1)
_SLOWDOWN = 5
_TIMES_ITS_COST = 20
_BACKOFF_START = timedelta(seconds=2)
_BACKOFF_LIMIT = timedelta(minutes=15)
_SAVED = timedelta(seconds=12)
_WORTHWHILE = timedelta(seconds=1)


def next_check(age: timedelta, interval: timedelta) -> timedelta:
    """How long to wait before looking at a batch of this age once more.

    A quarter of its age, so at most a quarter of its life is waited in vain; at most
    `interval` in its first hour and five times that later, when an hour has shown it is slow.
    """
    longest = interval if age < _SLOW_AFTER else interval * _SLOWDOWN
    return min(max(age * _AGE_SHARE, _SOONEST), longest)


def affordable(*, ago: float, took: float) -> bool:
    """Whether to do again what ended `ago` seconds ago and took that many: 5 % of all time."""
    return ago >= took * _TIMES_ITS_COST


def backoff(tries: int, *, asked: timedelta | None = None) -> timedelta:
    """How long to wait after `tries` failed looks in a row; never less than the server asked."""
    wait = min(_BACKOFF_START * (1 << min(tries, 20)), _BACKOFF_LIMIT)
    return max(wait, asked) if asked else wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A budget of calls that comes in evenly, `gap` after `gap`, and is saved up for 12 seconds.

    So 500 a minute are 100 at once and then 8 a second: the provider may count by the second.
    `spent_until` is the moment up to which what came in is spent.
    """

    gap: timedelta
    spent_until: datetime

    @classmethod
    def full(cls, per_minute: int, *, now: datetime) -> "Pace":
        """Nothing spent yet."""
        return cls(gap=timedelta(minutes=1) / per_minute, spent_until=now - _SAVED)

    def allowed(self, now: datetime) -> int:
        """How many calls may be made now."""
        return max(0, (now - max(self.spent_until, now - _SAVED)) // self.gap)

    def after(self, calls: int, *, now: datetime) -> "Pace":
        """Once so many were made."""
        since = max(self.spent_until, now - _SAVED)
        return replace(self, spent_until=since + calls * self.gap)

    def held(self, until: datetime) -> "Pace":
        """With nothing to spend until then."""
        return replace(self, spent_until=max(self.spent_until, until))

    @property
    def next_at(self) -> datetime:
        """When there is something to spend: a second's worth, for a round has a cost of its own."""
        return self.spent_until + max(self.gap, _WORTHWHILE)
