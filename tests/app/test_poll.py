import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.simulator.faults import Call
from shared.app.poll import Looking, poll, poll_until
from shared.app.reconcile import reconcile
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.ids import BatchId, ProviderId
from shared.domain.policy import Policy
from shared.ports.batch_api import ProviderBatch
from tests.app.home import Home
from tests.app.jobs import REPORTED, fill, only, run


def submitted(home: Home, batches: int, *, ended: bool = False) -> None:
    """So many batches of a document each, all of them due."""
    for number in range(batches):
        fill(home, 1, f"g{number:03}/")
    home.see()
    asyncio.run(submit(home.deps))
    home.later(seconds=120 if ended else 30)


def looks(home: Home) -> int:
    """How often the provider was asked about a batch."""
    return home.simulator.calls[Call.RETRIEVE]


def test_a_404_just_after_create_is_not_a_loss(home: Home) -> None:
    home.simulator.faults.not_found_s = 45
    fill(home)
    home.see()
    run(home)
    assert only(home, REPORTED)


def test_a_batch_that_stays_unknown_fails_by_name_after_its_day(home: Home) -> None:
    fill(home, 1)
    home.see()
    home.fault(Call.RETRIEVE, status=404, times=100_000)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("batch_not_found", True)
    assert [b.status for b in home.batches()] == [BatchStatus.FAILED]


def test_a_limit_that_one_look_meets_ends_the_round_for_all(home: Home) -> None:
    submitted(home, 40)
    home.fault(Call.RETRIEVE, status=429, retry_after="90", times=None)
    looking = Looking(home.deps)
    began = home.now
    polled = asyncio.run(looking.round())
    assert polled.checked == looks(home) == 1
    assert polled.unavailable is not None
    assert polled.more
    assert looking.next_at >= began + timedelta(seconds=90)
    assert len(home.store.due(BatchStatus.IN_PROGRESS, now=home.now, limit=100)) == 39


def test_an_error_of_one_batch_keeps_nobody_from_the_others(home: Home) -> None:
    submitted(home, 40)
    home.fault(Call.RETRIEVE, status=500)
    polled = asyncio.run(poll(home.deps))
    assert (polled.checked, polled.unavailable) == (40, None)


def test_looks_are_spread_and_never_more_than_a_minute_s_budget_come_together(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(looks_per_minute=60))
    submitted(home, 100)
    looking, times = Looking(home.deps), [0.0]
    while looks(home) < 100:
        before = looks(home)
        asyncio.run(looking.round())
        times += [(home.now - home.batches()[0].planned_at).total_seconds()] * (
            looks(home) - before
        )
        home.now = max(home.now, looking.next_at)
    assert len([time for time in times if time == times[1]]) == 12
    assert times[-1] - times[1] >= 100 - 12


def test_a_round_begins_no_look_once_its_time_is_over(home: Home) -> None:
    submitted(home, 3)
    polled = asyncio.run(poll(home.deps, until=home.now))
    assert (polled.checked, looks(home), polled.more) == (0, 0, True)


def test_an_answer_that_does_not_come_in_time_is_not_waited_for(home: Home) -> None:
    submitted(home, 1)

    async def silent(provider_id: ProviderId) -> ProviderBatch:
        await asyncio.sleep(60)
        raise AssertionError(f"nobody waits for {provider_id}")

    home.deps.api.retrieve = silent  # type: ignore[method-assign]
    until = home.now + timedelta(seconds=0.05)
    polled = asyncio.run(asyncio.wait_for(poll(home.deps, until=until), 10))
    assert polled.checked == 1
    [batch] = home.batches()
    assert (batch.status, batch.tries) == (BatchStatus.IN_PROGRESS, 1)
    assert batch.next_at > home.now, "others come first next time"


def test_each_ended_batch_is_told_of_before_the_next_is_looked_at(home: Home) -> None:
    submitted(home, 20, ended=True)
    told: list[tuple[BatchId, int]] = []
    asyncio.run(poll(home.deps, tell=lambda batch: told.append((batch, looks(home)))))
    assert [count for _, count in told] == list(range(1, 21))


def test_an_ended_batch_that_could_not_be_told_of_is_found_by_reconcile(home: Home) -> None:
    submitted(home, 2, ended=True)

    def down(batch: BatchId) -> None:
        raise ConnectionError(batch)

    with pytest.raises(ConnectionError):
        asyncio.run(poll(home.deps, tell=down))
    [lost] = home.batches(BatchStatus.ENDED)
    assert asyncio.run(reconcile(home.deps)).to_collect == (lost.id,)
    assert len(asyncio.run(poll(home.deps)).ended) == 1, "the other one is due as before"


def test_a_tick_looks_at_all_that_is_due_and_leaves_what_it_has_no_time_for(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(looks_per_minute=60))
    submitted(home, 50, ended=True)
    told: list[BatchId] = []
    until = home.now + timedelta(seconds=20)
    polled = asyncio.run(poll_until(home.deps, until, tell=told.append, sleep=home.sleep))
    assert 12 < len(told) < 35
    assert polled.ended == tuple(told)
    assert polled.more
    assert home.now <= until


def test_a_look_need_not_survive_a_power_cut_as_the_next_one_finds_the_same(home: Home) -> None:
    normal = 1
    submitted(home, 1)
    asyncio.run(poll(home.deps))
    assert home.store._file.rows("PRAGMA synchronous") == [(normal,)]
    home.later(minutes=2)
    assert asyncio.run(poll(home.deps)).ended
    assert home.store._file.rows("PRAGMA synchronous") == [(normal,)]
