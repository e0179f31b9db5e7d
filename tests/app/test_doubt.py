"""What proves whose a batch is, where the machine's clock is wrong."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.adapters.simulator_api import SimulatorApi
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from tests.app.home import Home


@pytest.mark.parametrize("hours", [-14.0, -0.2, 0.2, 14.0])
def test_a_lost_answer_is_found_again_though_the_clock_is_hours_off(
    tmp_path: Path, hours: float
) -> None:
    home = Home(tmp_path)
    ahead = timedelta(hours=hours)
    home.deps = replace(home.deps, api=SimulatorApi(home.simulator, lambda: home.now - ahead))
    for number in range(3):
        home.write(f"{number}.txt", f"Contract {number}.")
    home.see()
    home.lose_answer()
    asyncio.run(home.finish())
    assert home.requested() == 3
    assert [batch.status for batch in home.batches()] == [BatchStatus.COLLECTED]


def test_a_clock_that_is_put_right_before_the_doubt_is_looked_into_hides_nothing(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    ahead = timedelta(hours=14)
    right = home.deps
    home.deps = replace(right, clock=lambda: home.now + ahead)
    home.write("a.txt", "A contract.")
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    home.deps = right
    asyncio.run(home.finish())
    assert home.requested() == 1
    assert [batch.status for batch in home.batches()] == [BatchStatus.COLLECTED]
