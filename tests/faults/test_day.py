"""A day in fast motion, a twentieth of it; `make faults` does it whole."""

from contextlib import ExitStack
from datetime import timedelta

from shared.domain.polling import next_check
from tests.faults.day import Day
from tests.faults.day_account import check, most_looks, table
from tests.faults.scratch import scratch


def test_of_5000_documents_in_a_day_where_two_in_a_hundred_things_fail_all_are_accounted_for() -> (
    None
):
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        day = Day(documents=5_000, groups=50, folder=folder, max_wait="6h")
        stack.callback(day.store.close)
        day.run()
        print(table(day))  # noqa: T201 - shown when it fails, and by -s
        check(day)
        assert sum(day.trouble.counts.values()) > 100, "little went wrong"
        assert day.steps["batch_adopted"] + day.steps["batch_released"] > 0, "no create was lost"


def test_the_bound_on_looks_is_that_of_the_polling_rule() -> None:
    for seconds in (1, 10, 59, 240, 300, 3_599, 3_601, 40_000, 86_400):
        for every in (60, 300):
            life, interval, age, looks = (
                timedelta(seconds=seconds),
                timedelta(seconds=every),
                2.0,
                1,
            )
            while age < seconds:
                age += next_check(timedelta(seconds=age), interval).total_seconds()
                looks += 1
            assert looks <= most_looks(life, interval) <= looks + 12, (seconds, every)
