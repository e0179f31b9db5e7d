"""The same request in another batch of the job: it is answered already, or will be."""

import asyncio
from dataclasses import replace

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.app.control import requeue
from shared.app.poll import poll
from shared.app.publish import summary_of
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home
from tests.app.jobs import FAILED, IN_BATCH, REPORTED, WAITING, only, run

TEXT = "# The same lease\n\nfor everybody"


def head_of(home: Home, path: str) -> dict[str, str]:
    header = (home.report(path) or "").partition("\n---\n\n")[0]
    return dict(line.split(": ", 1) for line in header.splitlines()[1:])


def body_of(home: Home, path: str) -> str:
    return (home.report(path) or "").partition("\n---\n\n")[2]


def answered(home: Home, path: str = "a/one.md") -> None:
    """One document has its report."""
    home.write(path, TEXT)
    home.see()
    run(home)
    assert home.requested() == 1


def test_what_was_answered_before_gets_the_same_report_unpaid(home: Home) -> None:
    answered(home)
    home.write("b/two.md", TEXT)
    home.write("b/three.md", TEXT)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 1
    head = head_of(home, "b/two.md")
    assert head["document"] == '"b/two.md"'
    assert head["same_request_as"] == '"a/one.md"'
    assert head["custom_id"] == head_of(home, "a/one.md")["custom_id"]
    assert (head["cost_usd"], head["input_tokens"], head["output_tokens"]) == ("0", "0", "0")
    assert body_of(home, "b/two.md") == body_of(home, "b/three.md") == body_of(home, "a/one.md")
    summary = summary_of(home.deps, JOB)
    assert summary.documents[REPORTED] == 3
    assert summary.totals.reported == 1
    home.see()
    run(home)
    assert home.requested() == 1


def test_copies_beside_others_that_are_sent(home: Home) -> None:
    answered(home)
    home.write("b/two.md", TEXT)
    home.write("b/new.md", "# Another lease")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    assert "same_request_as" not in head_of(home, "b/new.md")


def test_the_same_in_two_groups_at_once_is_sent_once_and_the_other_waits(home: Home) -> None:
    home.write("a/one.md", TEXT)
    home.write("b/two.md", TEXT)
    home.write("b/other.md", "# Another lease")
    home.see()
    asyncio.run(submit(home.deps))
    assert home.statuses() == {"a/one.md": IN_BATCH, "b/two.md": WAITING, "b/other.md": IN_BATCH}
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    assert head_of(home, "b/two.md")["same_request_as"] == '"a/one.md"'


def test_what_does_not_fit_into_a_batch_waits_for_the_answer_too(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_batch_requests=2))
    for number in range(5):
        home.write(f"d{number}.md", TEXT)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 1


def test_one_that_fails_lets_those_that_wait_for_it_go_on(home: Home) -> None:
    home.write("a/one.md", TEXT)
    home.write("b/two.md", TEXT)
    home.see()
    asyncio.run(submit(home.deps))
    home.simulator.faults.refuse_rate = 1.0
    (home.root / "output" / "a").write_text("in the way of a folder")
    home.simulator.faults.refuse_rate = 0.0
    run(home)
    statuses = home.statuses()
    assert statuses["a/one.md"] is FAILED
    assert statuses["b/two.md"] is REPORTED
    assert home.requested() == 2


def test_one_that_is_tried_again_holds_nobody_up(home: Home) -> None:
    home.simulator.faults.error_rate = 1.0
    home.write("a/one.md", TEXT)
    home.write("b/two.md", TEXT)
    home.see()
    run(home)
    assert only(home, FAILED)
    home.simulator.faults.error_rate = 0.0
    before = home.requested()
    assert requeue(home.deps, JOB) == 2
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == before + 1


@pytest.mark.parametrize("how", ["removed", "changed", "somebody's"])
def test_an_answer_whose_report_is_gone_or_changed_is_paid_for(home: Home, how: str) -> None:
    answered(home)
    report = home.root / "output" / "a" / "one.md.md"
    match how:
        case "removed":
            report.unlink()
        case "changed":
            report.write_text(report.read_text().replace("Placeholder", "I know better"))
        case _:
            report.write_text("My own notes")
    home.write("b/two.md", TEXT)
    home.see()
    run(home)
    assert home.statuses()["b/two.md"] is REPORTED
    assert "same_request_as" not in head_of(home, "b/two.md")
    assert home.requested() == 2


def test_another_recipe_asks_anew(home: Home) -> None:
    answered(home)
    home.recipe = parse_recipe(
        RECIPE.replace("Review this.", "Assess this."), name="recipe.md", catalog=catalog()
    )
    home.write("b/two.md", TEXT)
    home.see()
    run(home)
    assert home.requested() == 2


def test_a_copy_that_was_planned_and_put_off_is_made_when_it_is_taken_up_again(home: Home) -> None:
    answered(home)
    home.write("b/two.md", TEXT)
    home.write("b/new.md", "# Another lease")
    home.see()
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    assert home.statuses()["b/two.md"] is REPORTED
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


def test_a_crash_before_the_copy_is_written_pays_for_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(home)
    home.write("b/two.md", TEXT)
    home.see()

    class Died(Exception):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("shared.app.submit.copy_answers", die)
        with pytest.raises(Died):
            asyncio.run(submit(home.deps))
    assert home.statuses()["b/two.md"] is IN_BATCH
    assert home.report("b/two.md") is None
    home.later(hours=1)
    run(home)
    assert only(home, REPORTED)
    assert head_of(home, "b/two.md")["same_request_as"] == '"a/one.md"'
    assert home.requested() == 1


def test_an_answer_that_is_gone_when_a_plan_is_taken_up_again_is_asked_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(home)
    home.write("b/two.md", TEXT)
    home.see()

    class Died(Exception):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("shared.app.submit.copy_answers", die)
        with pytest.raises(Died):
            asyncio.run(submit(home.deps))
    (home.root / "output" / "a" / "one.md.md").unlink()
    home.later(hours=1)
    run(home)
    assert home.statuses()["b/two.md"] is REPORTED
    assert home.requested() == 2


def test_a_report_that_is_being_continued_is_waited_for_and_copied_whole(home: Home) -> None:
    home.recipe = parse_recipe(
        RECIPE.replace("max_wait: 10m", "max_wait: 10m\ncontinue: 1"),
        name="recipe.md",
        catalog=catalog(),
    )
    home.simulator.faults.truncate_rate = 1.0
    home.write("a/one.md", TEXT)
    home.see()
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    home.simulator.faults.truncate_rate = 0.0
    home.write("b/two.md", TEXT)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    assert head_of(home, "b/two.md")["continued"] == "1"
    assert body_of(home, "b/two.md") == body_of(home, "a/one.md")
    assert all(b.status is not BatchStatus.PLANNED for b in home.batches())
