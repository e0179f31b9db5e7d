import asyncio
from collections.abc import AsyncGenerator

import pytest

from shared.adapters.simulator.faults import Call
from shared.app.collect_ended import collect_ended
from shared.app.poll import poll
from shared.app.submit import submit
from shared.domain.batch import BatchEvent, BatchStatus, after
from shared.domain.ids import ProviderId
from tests.app.home import Home
from tests.app.jobs import REPORTED, fill, only


def ended(home: Home, batches: int) -> None:
    """So many batches of a document each, all of them ended."""
    for number in range(batches):
        fill(home, 1, f"g{number:02}/")
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    assert len(asyncio.run(poll(home.deps)).ended) == batches


def test_all_that_has_ended_is_collected(home: Home) -> None:
    ended(home, 30)
    asyncio.run(collect_ended(home.deps))
    assert only(home, REPORTED)


@pytest.mark.parametrize(("most", "together"), [(100_000, 4), (2, 2), (1, 1)])
def test_batches_side_by_side_are_no_larger_than_one_may_be(
    home: Home, monkeypatch: pytest.MonkeyPatch, most: int, together: int
) -> None:
    monkeypatch.setattr("shared.app.collect_ended.MAX_BATCH_REQUESTS", most)
    ended(home, 12)
    results = home.deps.api.results
    under_way = most_under_way = 0

    async def watched(provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        nonlocal under_way, most_under_way
        under_way += 1
        most_under_way = max(most_under_way, under_way)
        await asyncio.sleep(0)
        async for lines in results(provider_id):
            yield lines
        under_way -= 1

    home.deps.api.results = watched  # type: ignore[method-assign]
    asyncio.run(collect_ended(home.deps))
    assert only(home, REPORTED)
    assert most_under_way == together


def test_what_a_dead_process_held_is_taken_over_when_that_is_asked_for(home: Home) -> None:
    ended(home, 6)
    for batch in home.batches(BatchStatus.ENDED):
        lease = home.now + home.policy.lease
        home.store.swap_batch(after(batch, BatchEvent.TAKEN, next_at=lease))
    asyncio.run(collect_ended(home.deps))
    assert len(home.batches(BatchStatus.ENDED)) == 6
    asyncio.run(collect_ended(home.deps, take_over=True))
    assert only(home, REPORTED)


def test_results_that_can_not_be_had_yet_are_left_for_later(home: Home) -> None:
    ended(home, 6)
    home.fault(Call.RESULTS, status=500)
    asyncio.run(collect_ended(home.deps, take_over=True))
    assert len(home.batches(BatchStatus.ENDED)) == 1


def test_no_more_is_begun_once_the_key_is_refused(home: Home) -> None:
    ended(home, 12)
    home.fault(Call.RESULTS, status=401, times=None)
    asyncio.run(collect_ended(home.deps))
    assert home.simulator.calls[Call.RESULTS] <= 4
