import asyncio
from collections.abc import Iterable
from datetime import timedelta

import pytest

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app.collect import Collected, collect
from shared.app.drive import drive
from shared.app.poll import poll
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from tests.app.home import Home
from tests.app.jobs import FAILED, IN_BATCH, REPORTED, fill, only, run


@pytest.mark.parametrize("cut", [Cut.MID_LINE, Cut.LINE_END])
def test_a_stream_that_is_cut_is_read_again_to_its_end(home: Home, cut: Cut) -> None:
    fill(home, 600 if cut is Cut.LINE_END else 20)
    home.see()
    home.fault(Call.RESULTS, cut=cut, lines=11)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == len(home.documents())
    total = home.batches()[0].totals
    assert total is not None
    assert total.reported == len(home.documents())


@pytest.mark.parametrize("fault", ["wrong_counts", "malformed_lines", "stray_lines"])
def test_a_disagreement_with_the_counts_is_read_again_and_then_noted(
    home: Home, fault: str
) -> None:
    setattr(home.simulator.faults, fault, 1)
    fill(home, 3)
    home.see()
    run(home)
    assert only(home, REPORTED)
    batch = home.batches()[0]
    assert batch.status is BatchStatus.COLLECTED
    assert batch.note
    assert home.simulator.calls[Call.RESULTS] == 3


def test_lost_lines_are_waited_for_however_often_a_run_is_started(home: Home) -> None:
    fill(home, 3)
    home.see()
    home.simulator.faults.lost_lines = 1
    for _ in range(40):
        asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))
        home.later(seconds=10)
    [batch] = home.batches()
    assert batch.status is BatchStatus.ENDED
    assert batch.totals is not None
    assert batch.totals.reported == 2  # told before all of it is there
    began = home.now
    run(home)
    assert home.now - began > timedelta(hours=1)
    assert sorted(home.statuses().values()) == [FAILED, REPORTED, REPORTED]
    assert home.requested() == 3


def test_collecting_that_runs_out_of_time_goes_on_where_it_was(home: Home) -> None:
    fill(home, 30)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    ended = asyncio.run(poll(home.deps)).ended
    assert asyncio.run(collect(home.deps, ended[0], until=home.now)) is Collected.UNFINISHED
    assert asyncio.run(collect(home.deps, ended[0])) is Collected.DONE
    assert only(home, REPORTED)


def test_a_process_that_dies_in_collect_holds_nobody_up(home: Home) -> None:
    fill(home, 3)
    home.see()
    real = home.deps.reports.write_many

    def dies(items: Iterable[tuple[str, bytes]]) -> None:
        if any(key.endswith(".md") for key, _ in items):
            raise KeyboardInterrupt

    home.deps.reports.write_many = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(home)
    home.deps.reports.write_many = real  # type: ignore[method-assign]
    before = home.now
    run(home)
    assert only(home, REPORTED)
    assert home.now - before < timedelta(seconds=5)


def test_a_message_that_comes_twice_collects_once(home: Home) -> None:
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    ended = asyncio.run(poll(home.deps)).ended
    assert asyncio.run(collect(home.deps, ended[0])) is Collected.DONE
    assert asyncio.run(collect(home.deps, ended[0])) is Collected.NOTHING


def test_a_document_that_changes_in_its_batch_gets_both_reports_in_order(home: Home) -> None:
    home.write("a.md", "one")
    home.see()
    asyncio.run(submit(home.deps))
    home.write("a.md", "two")
    home.see()
    assert home.statuses()["a.md"] is IN_BATCH
    assert asyncio.run(submit(home.deps)).batches == 0
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
