import asyncio
from collections.abc import Sequence

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.app.control import (
    Canceling,
    cancel,
    cancel_beside,
    forget_unsent,
    let_wait,
    requeue,
    requeue_unpaid,
    unpaid,
    worth_retrying,
    would_wait,
)
from shared.app.drive import drive
from shared.app.load import waiting
from shared.app.poll import poll
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.document import Document
from shared.domain.ids import JobName
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home
from tests.app.jobs import FAILED, REPORTED, fill, only, run


def test_only_what_failed_for_the_moment_is_retried_unless_all_is_asked_for(home: Home) -> None:
    home.simulator.faults.error_rate = 1.0
    home.simulator.faults.error_type = "invalid_request_error"
    fill(home, 2)
    home.see()
    run(home)
    assert home.requested() == 2
    home.simulator.faults.error_rate = 0.0
    assert requeue(home.deps, JOB) == 0
    assert requeue(home.deps, JOB, final=True) == 2
    run(home)
    assert only(home, REPORTED)


def mend_recipe(home: Home) -> None:
    home.recipe = parse_recipe(
        RECIPE.replace("Review", "Assess"), name="recipe.md", catalog=catalog()
    )


@pytest.mark.parametrize(
    "type_", ["invalid_request_error", "not_found_error", "permission_error", "request_too_large"]
)
def test_what_the_api_refused_unpaid_is_tried_again_by_another_recipe_only(
    home: Home, type_: str
) -> None:
    home.simulator.faults.error_rate = 1.0
    home.simulator.faults.error_type = type_
    fill(home, 2)
    home.see()
    run(home)
    home.simulator.faults.error_rate = 0.0
    assert requeue_unpaid(home.deps, JOB) == 0
    mend_recipe(home)
    assert requeue_unpaid(home.deps, JOB) == 2
    run(home)
    assert only(home, REPORTED)


def test_a_batch_refused_whole_is_tried_again_by_another_recipe(home: Home) -> None:
    fill(home, 2)
    home.see()
    home.fault(Call.CREATE, status=400)
    run(home)
    assert requeue_unpaid(home.deps, JOB) == 0
    mend_recipe(home)
    assert requeue_unpaid(home.deps, JOB) == 2


def test_what_was_answered_or_is_not_the_recipes_doing_waits_for_a_person(home: Home) -> None:
    home.simulator.faults.refuse_rate = 1.0
    fill(home, 2, "refused/")
    home.see()
    run(home)
    home.simulator.faults.refuse_rate = 0.0
    home.simulator.faults.error_rate = 1.0
    fill(home, 2, "errored/")
    home.see()
    run(home)
    assert only(home, FAILED)
    mend_recipe(home)
    assert requeue_unpaid(home.deps, JOB) == 0


def test_a_key_that_is_refused_is_tried_once_and_the_cancel_goes_through_later(home: Home) -> None:
    for folder in ("a/", "b/", "c/"):
        fill(home, 2, folder)
    home.see()
    asyncio.run(submit(home.deps))
    home.fault(Call.CANCEL, status=401)
    assert asyncio.run(cancel(home.deps, JOB)) == 0
    assert home.simulator.calls[Call.CANCEL] == 1
    run(home)
    assert home.simulator.calls[Call.CANCEL] == 4
    found = [d.failure.type for d in home.documents().values() if d.failure]
    assert set(found) == {"canceled"}


def test_cancel_ends_everything_and_retry_takes_it_up(home: Home) -> None:
    fill(home, 20, "a/")
    home.see()
    asyncio.run(submit(home.deps))
    fill(home, 3, "b/")
    home.see()
    home.later(seconds=20)
    assert asyncio.run(cancel(home.deps, JOB)) == 1
    asyncio.run(drive(home.deps, sleep=home.sleep, submitting=False))
    statuses = home.statuses()
    assert statuses["b/d0.md"] is FAILED
    assert {REPORTED, FAILED} == set(statuses.values())
    finished = sum(status is REPORTED for status in statuses.values())
    requeue(home.deps, JOB)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 20 + 23 - finished


def test_beside_others_a_plan_is_given_up_once_nobody_holds_it(home: Home) -> None:
    fill(home, 3)
    home.see()
    home.fault(Call.CREATE, status=429)
    asyncio.run(submit(home.deps))
    [batch] = home.batches(BatchStatus.PLANNED)
    done = cancel_beside(home.deps, JOB)
    assert (done.waited, done.asked, done.open) == (0, 0, 1), "its time hasn't come"
    home.now = batch.next_at
    done = cancel_beside(home.deps, JOB)
    assert (done.asked, done.open) == (0, 0)
    assert only(home, FAILED)
    assert home.requested() == 0


def test_beside_others_a_batch_in_progress_is_wanted_canceled_and_poll_asks(home: Home) -> None:
    fill(home, 2)
    home.see()
    asyncio.run(submit(home.deps))
    done = cancel_beside(home.deps, JOB)
    assert (done.waited, done.asked, done.open) == (0, 1, 1)
    assert home.simulator.calls[Call.CANCEL] == 0
    again = cancel_beside(home.deps, JOB)
    assert (again.asked, again.open) == (0, 1)
    asyncio.run(poll(home.deps))
    assert home.simulator.calls[Call.CANCEL] == 1
    run(home)
    done = cancel_beside(home.deps, JOB)
    assert (done.waited, done.asked, done.open) == (0, 0, 0)


def test_beside_others_another_job_is_left_alone(home: Home) -> None:
    fill(home, 2)
    home.see()
    other = JobName("other")
    asyncio.run(submit(home.deps))
    assert cancel_beside(home.deps, other) == Canceling(waited=0, asked=0, open=0)
    fill(home, 2, "more/")
    home.see()
    assert cancel_beside(home.deps, other) == Canceling(waited=0, asked=0, open=0)
    run(home)
    assert only(home, REPORTED)


def test_beside_others_what_changes_in_the_middle_is_canceled_as_it_is_now(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, 3)
    home.see()
    plain = home.store.swap_documents

    def changed_before(documents: Sequence[Document]) -> set[str]:
        monkeypatch.undo()
        home.write("d1.md", "# Another content")
        home.see()
        return plain(documents)

    monkeypatch.setattr(home.store, "swap_documents", changed_before)
    assert cancel_beside(home.deps, JOB).waited == 3
    assert only(home, FAILED)


def test_a_batch_in_doubt_keeps_a_cancel_from_its_end(home: Home) -> None:
    fill(home, 2)
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    assert cancel_beside(home.deps, JOB).open == 1


def test_what_would_wait_is_priced_as_it_is_once_it_waits_and_has_failed_until_then(
    home: Home,
) -> None:
    home.simulator.faults.refuse_rate = 1.0
    fill(home, 3)
    home.see()
    run(home)
    fill(home, 2, "new/")
    home.see()
    wanted = worth_retrying(final=True)
    before = waiting(
        home.deps, JOB, home.recipe, also=would_wait(home.deps, JOB, wanted, unpaid(home.deps, JOB))
    )
    assert list(home.statuses().values()).count(FAILED) == 3
    assert let_wait(home.deps, JOB, wanted) == 3
    after = waiting(home.deps, JOB, home.recipe)
    assert (after.load, after.requests, after.bytes) == (before.load, before.requests, before.bytes)
    assert sorted(after.sizes) == sorted(before.sizes)
    assert before.load.documents == 5


def test_a_no_forgets_what_came_since_and_nothing_that_waited_before(home: Home) -> None:
    home.simulator.faults.refuse_rate = 1.0
    fill(home, 2)
    home.see()
    run(home)
    assert only(home, FAILED)
    assert requeue(home.deps, JOB, final=True) == 2
    home.later(seconds=1)
    came = home.now
    home.write("new.md", "# New")
    home.see()
    forget_unsent(home.deps, JOB, since=came)
    assert set(home.documents()) == {"d0.md", "d1.md"}
