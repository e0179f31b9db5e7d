import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator_api import SimulatorApi
from shared.app.counting import count_waiting
from shared.app.load import waiting
from shared.domain.counting import MOST_COUNTED, InputTokens
from shared.ports.batch_api import Refused, Unavailable
from shared.ports.token_counter import TokenCounter
from tests.app.home import JOB, Home
from tests.app.jobs import fill, run


def count(home: Home, counter: TokenCounter | None = None) -> InputTokens | None:
    found = waiting(home.deps, JOB, home.recipe)
    api = counter or SimulatorApi(home.simulator, lambda: home.now)
    return asyncio.run(
        count_waiting(
            home.deps, api, JOB, home.recipe, found=found, also=lambda: (), patience_s=5.0
        )
    )


def test_a_job_that_is_counted_whole_uses_just_that(home: Home) -> None:
    fill(home, 7)
    home.see()
    found = count(home)
    assert found is not None
    assert (found.counted, found.of) == (7, 7)
    run(home)
    used = sum(b.totals.usage.input_tokens for b in home.batches() if b.totals)
    assert found.low == found.tokens == found.high == used


def test_of_many_a_bounded_number_is_counted_and_the_rest_lies_in_the_range(home: Home) -> None:
    for number in range(100):
        home.write(f"{number}.{'md' if number % 2 else 'txt'}", "word " * (1 + number * 7))
    home.see()
    found = count(home)
    assert found is not None
    assert (found.counted, found.of) == (MOST_COUNTED, 100)
    assert home.simulator.calls == {Call.COUNT_TOKENS: MOST_COUNTED}
    run(home)
    used = sum(b.totals.usage.input_tokens for b in home.batches() if b.totals)
    assert found.low <= used <= found.high
    assert abs(found.tokens - used) < used / 10


def test_nothing_that_can_be_sent_is_nothing_to_count(home: Home) -> None:
    assert count(home) is None
    home.write("dump.dat", bytes(range(256)))
    home.see()
    assert count(home) is None
    assert home.simulator.calls == {}


def test_trouble_on_the_way_leaves_what_was_counted(home: Home) -> None:
    fill(home, 12)
    home.see()
    home.fault(Call.COUNT_TOKENS, status=400)
    home.fault(Call.COUNT_TOKENS, status=529)
    found = count(home)
    assert found is not None
    assert (found.counted, found.of) == (10, 12)


@pytest.mark.parametrize(
    ("how", "kind"), [({"status": 404}, Refused), ({"cut": Cut.BEFORE}, Unavailable)]
)
def test_where_nothing_is_counted_the_reason_is_raised(
    home: Home, how: dict[str, object], kind: type[Exception]
) -> None:
    fill(home, 3)
    home.see()
    home.fault(Call.COUNT_TOKENS, times=None, **how)
    with pytest.raises(kind):
        count(home)


class Silent:
    """Answers the first call only."""

    def __init__(self) -> None:
        self.calls = 0

    async def count_tokens(self, params: Mapping[str, Any]) -> int:
        self.calls += 1
        if self.calls > 1:
            await asyncio.sleep(60)
        return 10


def test_who_does_not_answer_is_not_waited_for(home: Home) -> None:
    fill(home, 9)
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    counted = asyncio.run(
        count_waiting(
            home.deps, Silent(), JOB, home.recipe, found=found, also=lambda: (), patience_s=0.05
        )
    )
    assert counted is not None
    assert (counted.counted, counted.of) == (1, 9)
