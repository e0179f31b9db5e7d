import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator_api import SimulatorApi
from shared.app.control import requeue
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.ids import ProviderId
from tests.app.home import JOB, START, Home
from tests.app.jobs import REPORTED, fill, only, run


def test_a_lost_answer_is_adopted_and_nothing_is_paid_for_twice(home: Home) -> None:
    fill(home)
    home.see()
    home.lose_answer()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 5
    assert [b.status for b in home.batches()] == [BatchStatus.COLLECTED]


def test_a_create_that_never_arrived_is_given_back_after_the_grace(home: Home) -> None:
    fill(home)
    home.see()
    home.fault(Call.CREATE, cut=Cut.BEFORE)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 5
    assert sorted(b.status for b in home.batches()) == [BatchStatus.COLLECTED, BatchStatus.RELEASED]


def test_a_listing_that_lags_is_not_believed_too_soon(home: Home) -> None:
    home.simulator.faults.listing_lag_s = 50
    fill(home)
    home.see()
    home.lose_answer()
    run(home)
    assert home.requested() == 5
    assert only(home, REPORTED)


def test_other_batches_of_the_same_size_are_not_mistaken_for_ours(home: Home) -> None:
    fill(home, 3, "a/")
    fill(home, 3, "b/")
    home.see()
    home.lose_answer()
    home.lose_answer()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 6


def test_a_process_that_dies_in_create_leaves_a_doubt_that_is_settled(home: Home) -> None:
    fill(home)
    home.see()
    real = home.deps.api.create

    async def dies(*given: object, **named: object) -> None:
        await real(*given, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    home.deps.api.create = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(submit(home.deps))
    assert [b.status for b in home.batches()] == [BatchStatus.SUBMITTING]
    home.deps.api.create = real  # type: ignore[method-assign]
    home.see()
    run(home)
    assert home.requested() == 5
    assert only(home, REPORTED)


def test_documents_in_doubt_wait_and_all_others_go_on(home: Home) -> None:
    fill(home, 2, "a/")
    fill(home, 3, "b/")
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    assert {b.group: b.status for b in home.batches()} == {
        "a": BatchStatus.IN_DOUBT,
        "b": BatchStatus.IN_PROGRESS,
    }


def test_a_doubt_whose_proof_is_gone_ends_as_a_named_failure_after_its_day(home: Home) -> None:
    fill(home, 2)
    home.see()
    home.lose_answer()
    home.fault(Call.RESULTS, status=404, times=None)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("doubt_unresolved", False)
    assert home.now - START > home.policy.not_found_grace
    assert requeue(home.deps, JOB) == 0
    home.simulator.faults.script.clear()
    assert requeue(home.deps, JOB, final=True) == 2
    run(home)
    assert only(home, REPORTED)


def test_many_doubts_are_looked_into_with_one_listing(home: Home) -> None:
    for number in range(4):
        fill(home, 2, f"g{number}/")
        home.lose_answer()
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=5)
    before = home.simulator.calls.copy()
    found = asyncio.run(reconcile(home.deps))
    assert found.adopted == 4
    assert home.simulator.calls[Call.LIST] - before[Call.LIST] == 1
    assert home.simulator.calls[Call.RESULTS] - before[Call.RESULTS] <= 4


@pytest.mark.parametrize("hours", [-14.0, -0.2, 0.2, 14.0])
def test_a_lost_answer_is_found_again_though_the_clock_is_hours_ahead(
    home: Home, hours: float
) -> None:
    ahead = timedelta(hours=hours)
    home.deps = replace(home.deps, api=SimulatorApi(home.simulator, lambda: home.now - ahead))
    fill(home, 3)
    home.see()
    home.lose_answer()
    run(home)
    assert home.requested() == 3
    assert [b.status for b in home.batches()] == [BatchStatus.COLLECTED]


def test_a_clock_that_is_put_right_before_the_doubt_is_looked_into_hides_nothing(
    home: Home,
) -> None:
    ahead = timedelta(hours=14)
    right = home.deps
    home.deps = replace(right, clock=lambda: home.now + ahead)
    fill(home, 1)
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    home.deps = right
    run(home)
    assert home.requested() == 1
    assert [b.status for b in home.batches()] == [BatchStatus.COLLECTED]


def test_a_stream_that_ends_before_a_line_of_ours_proves_nothing(home: Home) -> None:
    fill(home, 3)
    home.see()
    home.deps = replace(home.deps, api=StrayFirst(home.simulator, lambda: home.now))
    home.lose_answer()
    home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=0)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 3


@pytest.mark.parametrize("documents", [1, 2, 30])
def test_lines_of_nobodys_do_not_hide_whose_a_batch_is(home: Home, documents: int) -> None:
    home.simulator.faults.stray_lines = 1
    home.simulator.faults.malformed_lines = 1
    fill(home, documents)
    home.see()
    home.deps = replace(home.deps, api=StrayFirst(home.simulator, lambda: home.now))
    home.lose_answer()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == documents


class StrayFirst(SimulatorApi):
    """Results begin with lines that belong to no row."""

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        yield [b'{"custom_id":"nobodys","result":{"type":"canceled"}}']
        async for lines in super().results(provider_id):
            yield lines


def test_a_stream_that_is_cut_proves_what_it_named_before(home: Home) -> None:
    fill(home, 12)
    home.see()
    home.lose_answer()
    home.fault(Call.RESULTS, cut=Cut.MID_LINE, lines=3, times=6)
    before = home.now
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 12
    adopted = next(facts for event, facts in home.events if event == "batch_adopted")
    assert adopted
    assert home.simulator.calls[Call.RESULTS] == 7  # the proof, five readings cut, the whole one
    assert home.now - before < timedelta(hours=1)
