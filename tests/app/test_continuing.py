"""Reports that stopped at `max_tokens`: the rest is asked for, and joined."""

import asyncio
from decimal import Decimal

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator.rows import Ending
from shared.app.collect import Collected
from shared.app.control import cancel, fail_waiting, requeue
from shared.app.gone import forget_source
from shared.app.poll import poll
from shared.app.publish import summary_of
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home
from tests.app.jobs import IN_BATCH, REPORTED, WAITING, fill, only, run


@pytest.fixture
def home(home: Home) -> Home:
    use(home, "continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    return home


def use(home: Home, *lines: str, wording: str = "Review this.") -> None:
    text = RECIPE.replace("max_wait: 10m", "\n".join(("max_wait: 10m", *lines)))
    home.recipe = parse_recipe(
        text.replace("Review this.", wording), name="recipe.md", catalog=catalog()
    )


def first_answers(home: Home) -> None:
    """Every document is answered once, and cut off."""
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    assert asyncio.run(home.collect_all()) == [Collected.DONE]


def head_of(home: Home, path: str = "d0.md") -> dict[str, str]:
    header = (home.report(path) or "").partition("\n---\n\n")[0]
    return dict(line.split(": ", 1) for line in header.splitlines()[1:])


def body_of(home: Home, path: str = "d0.md") -> str:
    return (home.report(path) or "").partition("\n---\n\n")[2]


def whole(home: Home) -> str:
    """What the simulator says when it isn't cut off."""
    home.simulator.faults.truncate_rate = 0.0
    home.write("whole.md", "# Document 0\n\ntext of another")
    home.see()
    run(home)
    return body_of(home, "whole.md")


def test_an_answer_that_was_cut_off_goes_on_in_the_next_batch_without_a_seam(home: Home) -> None:
    fill(home, 2)
    home.see()
    first_answers(home)
    assert only(home, WAITING)
    assert head_of(home)["truncated"] == "true"
    begun = body_of(home)
    home.simulator.faults.truncate_rate = 0.0
    run(home)
    assert only(home, REPORTED)
    assert len(home.batches()) == 2
    head = head_of(home)
    assert (head["truncated"], head["stop_reason"]) == ("false", '"end_turn"')
    assert head["continued"] == "1"
    assert body_of(home).startswith(begun.rstrip("\n"))
    assert body_of(home) == whole(home)


def test_the_header_sums_its_parts_and_each_batch_counts_its_own(home: Home) -> None:
    fill(home, 1)
    home.see()
    first_answers(home)
    first = head_of(home)
    home.simulator.faults.truncate_rate = 0.0
    run(home)
    head = head_of(home)
    one, two = (batch.totals for batch in home.batches())
    assert one is not None
    assert two is not None
    assert int(head["output_tokens"]) == one.usage.output_tokens + two.usage.output_tokens
    assert int(head["input_tokens"]) == one.usage.input_tokens + two.usage.input_tokens
    assert two.usage.input_tokens > one.usage.input_tokens
    assert Decimal(head["cost_usd"]) == one.cost + two.cost
    assert Decimal(first["cost_usd"]) == one.cost
    assert (one.reported, one.continued, two.reported, two.continued) == (0, 1, 1, 0)
    total = summary_of(home.deps, JOB).totals
    assert (total.reported, total.continued, total.truncated) == (1, 1, 0)


def test_it_goes_on_as_often_as_the_recipe_says_and_is_then_a_report_cut_short(home: Home) -> None:
    fill(home, 2)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert len(home.batches()) == 3
    head = head_of(home)
    assert (head["truncated"], head["continued"]) == ("true", "2")
    assert [b.totals.continued for b in home.batches() if b.totals] == [2, 2, 0]


def test_without_continue_a_cut_answer_is_a_report_at_once(home: Home) -> None:
    use(home)
    fill(home, 1)
    home.see()
    run(home)
    assert len(home.batches()) == 1
    assert "continued" not in head_of(home)


def test_what_stopped_for_the_context_is_not_asked_to_go_on(home: Home) -> None:
    home.simulator.faults.truncate_rate = 0.0
    home.simulator.faults.overflow_rate = 1.0
    fill(home, 1)
    home.see()
    run(home)
    assert len(home.batches()) == 1
    assert head_of(home)["stop_reason"] == f'"{Ending.OVERFLOW}"'


@pytest.mark.parametrize(("rate", "why"), [("error_rate", "api_error"), ("refuse_rate", "refusal")])
def test_when_the_rest_cannot_be_had_the_report_says_why_and_stays(
    home: Home, rate: str, why: str
) -> None:
    fill(home, 2)
    home.see()
    first_answers(home)
    begun = body_of(home)
    home.simulator.faults.truncate_rate = 0.0
    setattr(home.simulator.faults, rate, 1.0)
    run(home)
    assert only(home, REPORTED)
    head = head_of(home)
    assert head["truncated"] == "true"
    assert head["not_continued"].startswith(f'"{why}: ')
    assert body_of(home) == begun
    home.see()
    run(home)
    assert requeue(home.deps, JOB, final=True) == 0
    assert len(home.batches()) == (4 if why == "api_error" else 2)


def test_trouble_in_between_is_tried_again_and_joined_then(home: Home) -> None:
    fill(home, 1)
    home.see()
    first_answers(home)
    home.simulator.faults.truncate_rate = 0.0
    home.simulator.faults.error_rate = 1.0
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    assert only(home, WAITING)
    home.simulator.faults.error_rate = 0.0
    run(home)
    assert head_of(home)["continued"] == "1"
    assert body_of(home) == whole(home)


def test_a_newer_version_drops_what_there_was(home: Home) -> None:
    fill(home, 1)
    home.see()
    first_answers(home)
    home.write("d0.md", "# Another version")
    home.see()
    home.simulator.faults.truncate_rate = 0.0
    run(home)
    assert only(home, REPORTED)
    assert "continued" not in head_of(home)
    assert head_of(home)["truncated"] == "false"
    assert home.documents()["d0.md"].unfinished is None


def test_a_newer_version_that_comes_while_the_answer_is_made_is_served_next(home: Home) -> None:
    fill(home, 1)
    home.see()
    asyncio.run(submit(home.deps))
    assert only(home, IN_BATCH)
    home.write("d0.md", "# Another version")
    home.see()
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    document = home.documents()["d0.md"]
    assert (document.status, document.unfinished) == (WAITING, None)
    assert document.reported_digest is not None
    home.simulator.faults.truncate_rate = 0.0
    run(home)
    assert "continued" not in head_of(home)


@pytest.mark.parametrize("how", ["canceled", "removed", "another recipe", "text removed"])
def test_whatever_comes_in_between_the_report_that_was_paid_for_is_there(
    home: Home, how: str
) -> None:
    fill(home, 2)
    home.see()
    first_answers(home)
    begun = home.report("d0.md")
    match how:
        case "canceled":
            fail_waiting(home.deps, JOB)
        case "removed":
            for name in ("d0.md", "d1.md"):
                (home.root / "input" / name).unlink()
                forget_source(home.deps, JOB, name, [name])
        case "another recipe":
            use(home, "continue: 2", wording="Assess this.")
        case "text removed":
            for kept in (home.root / "output" / ".docmill" / "unfinished").iterdir():
                kept.unlink()
    run(home)
    assert only(home, REPORTED)
    assert home.report("d0.md") == begun
    assert head_of(home)["truncated"] == "true"
    assert len(home.batches()) == 1
    if how == "removed":
        fill(home, 2)
    home.see()
    run(home)
    assert home.requested() == 2


def test_a_cancel_of_the_continuation_leaves_the_report(home: Home) -> None:
    fill(home, 1)
    home.see()
    first_answers(home)
    asyncio.run(submit(home.deps))
    assert only(home, IN_BATCH)
    asyncio.run(cancel(home.deps, JOB))
    run(home)
    assert only(home, REPORTED)
    assert head_of(home)["truncated"] == "true"


def test_a_source_that_is_gone_before_the_rest_is_asked_for_leaves_the_report(home: Home) -> None:
    fill(home, 1)
    home.see()
    first_answers(home)
    (home.root / "input" / "d0.md").unlink()
    run(home)
    assert only(home, REPORTED)
    assert len(home.batches()) == 1


def test_lines_that_are_read_twice_continue_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.results._FLUSH_LINES", 1)
    fill(home, 4)
    home.see()
    home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=2, times=2)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 12
    # What was read before the cut goes on by itself.
    assert sum(b.totals.continued for b in home.batches() if b.totals) == 8
    first = home.batches()[0].totals
    assert first is not None
    assert first.continued == 4
    assert all(head_of(home, f"d{n}.md")["continued"] == "2" for n in range(4))


def test_a_crash_between_keeping_and_letting_go_gives_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, 2)
    home.see()

    class Died(Exception):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("shared.app.results.settle_documents", die)
        with pytest.raises(Died):
            first_answers(home)
    assert only(home, IN_BATCH)
    begun = home.report("d0.md")
    home.later(hours=1)
    home.simulator.faults.truncate_rate = 0.0
    asyncio.run(home.collect_all())
    assert home.report("d0.md") == begun
    run(home)
    assert head_of(home)["continued"] == "1"


def test_a_crash_before_the_checkpoint_is_counted_as_it_was(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, 2)
    home.see()

    class Died(Exception):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(home.store, "save_checkpoint", die)
        with pytest.raises(Died):
            first_answers(home)
    assert only(home, WAITING)
    home.later(hours=1)
    asyncio.run(home.collect_all())
    [batch] = home.batches(BatchStatus.COLLECTED)
    assert batch.totals is not None
    assert (batch.totals.continued, batch.totals.reported) == (2, 0)


def test_max_cost_bounds_continuations(home: Home) -> None:
    use(home, "continue: 2", "max_cost: 0.03")
    fill(home, 1)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert 1 <= len(home.batches()) < 3
    assert head_of(home)["truncated"] == "true"
    assert summary_of(home.deps, JOB).totals.cost <= Decimal("0.03")


def test_twins_go_on_together(home: Home) -> None:
    home.write("a.md", "# The same")
    home.write("b.md", "# The same")
    home.see()
    first_answers(home)
    home.simulator.faults.truncate_rate = 0.0
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    assert body_of(home, "a.md") == body_of(home, "b.md") == whole(home)
    assert head_of(home, "b.md")["same_request_as"] == '"a.md"'
    assert head_of(home, "b.md")["cost_usd"] == "0"
