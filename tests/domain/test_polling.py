from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.polling import Pace, affordable, backoff, next_check

MINUTE = timedelta(minutes=1)


def test_a_young_batch_is_looked_at_soon_and_an_old_one_rarely() -> None:
    assert next_check(timedelta(0), MINUTE) == timedelta(seconds=2)
    assert next_check(timedelta(seconds=40), MINUTE) == timedelta(seconds=10)
    assert next_check(timedelta(minutes=30), MINUTE) == MINUTE
    assert next_check(timedelta(hours=5), MINUTE) == 5 * MINUTE


def test_the_interval_asked_for_is_never_exceeded_in_the_first_hour() -> None:
    assert next_check(timedelta(minutes=59), timedelta(seconds=1)) == timedelta(seconds=1)


def test_a_day_of_waiting_takes_a_few_hundred_looks() -> None:
    age, looks = timedelta(0), 0
    while age < timedelta(hours=24):
        age += next_check(age, MINUTE)
        looks += 1
    assert 200 < looks < 400


@pytest.mark.parametrize("tries", [0, 5, 100, 10**6])
def test_backing_off_is_bounded_and_never_shorter_than_the_server_asked(tries: int) -> None:
    assert timedelta(seconds=2) <= backoff(tries) <= timedelta(minutes=15)
    assert backoff(tries, asked=timedelta(hours=2)) == timedelta(hours=2)


def test_backing_off_grows() -> None:
    assert backoff(0) < backoff(1) < backoff(2)


def test_what_takes_long_is_done_a_twentieth_of_the_time() -> None:
    assert affordable(ago=0.0, took=0.0)
    assert not affordable(ago=199.0, took=10.0)
    assert affordable(ago=200.0, took=10.0)


def test_a_pace_lets_some_come_together_and_the_rest_evenly() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pace = Pace.full(500, now=now)
    assert pace.allowed(now) == 100
    pace = pace.after(100, now=now)
    assert pace.allowed(now) == 0
    assert pace.next_at == now + timedelta(seconds=1)
    assert pace.allowed(pace.next_at) == 8
    assert pace.allowed(now + MINUTE) == 100


def test_a_pace_that_is_held_allows_nothing_before() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pace = Pace.full(500, now=now).held(now + MINUTE)
    assert pace.allowed(now + MINUTE) == 0
    assert pace.next_at > now + MINUTE
    assert pace.allowed(pace.next_at) == 8
