"""When to look again: soon while things are young, rarer as they age, politely after errors."""

from datetime import timedelta

_SOONEST = timedelta(seconds=2)
_AGE_SHARE = 0.25
_SLOW_AFTER = timedelta(hours=1)
_SLOWDOWN = 5
_TIMES_ITS_COST = 20
_BACKOFF_START = timedelta(seconds=2)
_BACKOFF_LIMIT = timedelta(minutes=15)


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
