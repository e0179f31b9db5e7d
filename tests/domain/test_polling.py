from datetime import timedelta

import pytest

from shared.domain.polling import affordable, backoff, next_check

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
