import asyncio

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app.control import requeue
from shared.app.pauses import current_pause
from shared.app.poll import poll
from shared.app.submit import submit
from shared.domain.pause import PauseReason
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, WAITING, fill, only, run


def test_a_report_that_cannot_be_written_is_a_failure_however_often_it_is_read(home: Home) -> None:
    fill(home)
    home.see()
    asyncio.run(submit(home.deps))
    (home.root / "output" / "d0.md.md").mkdir()
    home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=4, times=2)
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert failure.type == "report_not_written"
    total = home.batches()[0].totals
    assert total is not None
    assert (total.reported, total.failed) == (4, 1)
    assert total.usage.output_tokens > 0


def test_server_trouble_is_tried_again_in_a_new_batch_and_then_fails(home: Home) -> None:
    home.simulator.faults.error_rate = 1.0
    fill(home, 2)
    home.see()
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.attempts, failure.retryable) == ("api_error", 3, True)
    assert len(home.batches()) == 3
    home.simulator.faults.error_rate = 0.0
    assert requeue(home.deps, JOB) == 2
    run(home)
    assert only(home, REPORTED)


def test_missing_credit_waits_and_goes_on_by_itself(home: Home) -> None:
    home.simulator.faults.out_of_credit = True
    fill(home, 2)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    pause = current_pause(home.deps)
    assert pause is not None
    assert pause.reason is PauseReason.LOW_CREDIT
    assert "credit balance" in pause.message
    assert {d.attempts for d in home.documents().values()} == {0}
    assert only(home, WAITING)
    home.simulator.faults.out_of_credit = False
    run(home)
    assert only(home, REPORTED)


def test_what_expires_is_tried_again(home: Home) -> None:
    home.simulator.faults.expire_rate = 1.0
    fill(home, 3)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    assert {d.attempts for d in home.documents().values()} == {1}
    home.simulator.faults.expire_rate = 0.0
    run(home)
    assert only(home, REPORTED)


def test_a_refusal_is_a_failure_and_a_cut_answer_a_marked_report(home: Home) -> None:
    home.simulator.faults.refuse_rate = 0.5
    home.simulator.faults.truncate_rate = 0.5
    fill(home, 20)
    home.see()
    run(home)
    documents = home.documents()
    refused = [path for path, d in documents.items() if d.status is FAILED]
    cut = [path for path, d in documents.items() if d.status is REPORTED]
    assert refused
    assert cut
    assert all(d.failure.type == "refusal" for d in documents.values() if d.failure)
    assert "truncated: true" in (home.report(cut[0]) or "")


def test_lines_that_are_doubled_broken_or_strange_do_not_change_the_outcome(home: Home) -> None:
    home.simulator.faults.duplicate_lines = 3
    fill(home, 10)
    home.see()
    run(home)
    assert only(home, REPORTED)
    totals = home.batches()[0].totals
    assert totals is not None
    assert totals.reported == 10


def test_a_report_that_cannot_lie_where_it_belongs_fails_alone(home: Home) -> None:
    home.write("a", "text")
    home.write("b", "text")
    (home.root / "output" / "a.md").mkdir()
    home.see()
    run(home)
    statuses = home.statuses()
    assert (statuses["a"], statuses["b"]) == (FAILED, REPORTED)
