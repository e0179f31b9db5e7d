"""Documents with the same request: one is sent, and all have their reports."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app.plan import plan_batch
from shared.app.publish import publish
from shared.app.spool import Spool
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home
from tests.app.jobs import FAILED, REPORTED, WAITING, only, run

TEXT = "# The same lease\n\nfor everybody"


def twins(home: Home, count: int = 3) -> None:
    for number in range(count):
        home.write(f"d{number}.md", TEXT)
    home.write("other.md", "# Another lease")
    home.see()


def recipe(home: Home, text: str) -> None:
    home.recipe = parse_recipe(text, name="recipe.md", catalog=catalog())


def test_the_same_request_is_sent_once_and_every_document_has_its_report(home: Home) -> None:
    twins(home)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    [batch] = home.batches()
    assert (batch.size, batch.requests) == (4, 2)
    totals = batch.totals
    assert totals is not None
    assert (totals.reported, totals.twins, totals.answers) == (4, 2, 2)
    first, second = home.report("d0.md"), home.report("d1.md")
    assert first is not None
    assert second is not None
    assert "same_request_as" not in first
    assert 'document: "d1.md"' in second
    assert 'same_request_as: "d0.md"' in second
    assert "cost_usd: 0\n" in second
    assert "input_tokens: 0\n" in second
    assert first.partition("\n---\n\n")[2] == second.partition("\n---\n\n")[2]
    ids = {line for text in (first, second) for line in text.splitlines() if "correlation" in line}
    assert len(ids) == 2


def test_totals_cost_and_limit_count_what_is_sent(home: Home) -> None:
    twins(home, 50)
    run(home)
    recipe(home, RECIPE.replace("max_wait: 10m", "max_wait: 10m\nmax_cost: 0.04"))
    for number in range(60, 100):
        home.write(f"d{number}.md", f"{TEXT} once more")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 3
    assert all(b.cost_at_most <= Decimal("0.04") for b in home.batches())
    assert publish(home.deps, JOB).totals.twins == 49 + 39


def test_a_template_that_prints_the_path_has_no_twins(home: Home) -> None:
    recipe(home, RECIPE + "\n{{ document.path }}\n")
    twins(home)
    run(home)
    assert home.requested() == 4


def test_a_template_that_prints_only_the_name_finds_twins_in_other_folders(home: Home) -> None:
    recipe(home, RECIPE.replace("max_wait: 10m", "group_by: none") + "\n{{ document.name }}\n")
    home.write("a/x.md", TEXT)
    home.write("b/x.md", TEXT)
    home.write("b/y.md", TEXT)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


def test_rows_that_show_the_prompt_the_same_columns_are_twins(home: Home) -> None:
    recipe(home, "---\nmodel: claude-opus-4-6\n---\nLabel this: {{ text }}\n")
    rows = [{"id": f"r{n}", "text": "Where is my parcel?", "at": n} for n in range(5)]
    home.write("rows.jsonl", "\n".join(json.dumps(row) for row in rows))
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 1
    assert 'same_request_as: "r0"' in (home.report("r4") or "")


def test_rows_whose_prompt_has_all_columns_are_not(home: Home) -> None:
    recipe(home, "---\nmodel: claude-opus-4-6\n---\nLabel this: {{ columns }}\n")
    rows = [{"id": f"r{n}", "text": "Where is my parcel?"} for n in range(3)]
    home.write("rows.jsonl", "\n".join(json.dumps(row) for row in rows))
    home.see()
    run(home)
    assert home.requested() == 3


def test_twins_are_tried_again_and_fail_as_their_leader_does(home: Home) -> None:
    home.simulator.faults.error_rate = 1.0
    twins(home)
    run(home)
    assert only(home, FAILED)
    assert len(home.batches()) == 3
    assert home.requested() == 6
    assert {d.failure.attempts for d in home.documents().values() if d.failure} == {3}
    assert [b.totals.twins for b in home.batches() if b.totals] == [2, 2, 2]


def test_a_leader_that_changes_before_it_is_claimed_strands_nobody(home: Home) -> None:
    twins(home)
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    home.write("d0.md", "Something else by now")
    home.see()
    run(home)
    assert only(home, REPORTED)
    # d0 was claimed as it was, so the plan gives up d0 and its twins; d1 leads the next.
    assert "same_request_as" not in (home.report("d1.md") or "same_request_as")
    assert 'same_request_as: "d1.md"' in (home.report("d2.md") or "")
    assert home.requested() == 3


def test_a_leader_that_is_lost_while_it_is_planned_leaves_its_twins_waiting(home: Home) -> None:
    twins(home)

    async def lose_the_leader() -> None:
        [group] = list(home.store.groups(JOB))
        with Spool(home.root) as spool:
            planned = await plan_batch(home.deps, group, home.recipe, spool)
            assert isinstance(planned, tuple)
            home.write("d0.md", "Something else by now")
            home.see()

    asyncio.run(lose_the_leader())
    home.later(hours=1)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 3


def test_a_twin_that_changes_before_the_plan_is_sent_is_asked_for_itself(home: Home) -> None:
    twins(home)
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    home.write("d1.md", "Something else by now")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert "same_request_as" not in (home.report("d1.md") or "same_request_as")
    assert 'same_request_as: "d0.md"' in (home.report("d2.md") or "")
    assert home.requested() == 3


def test_twins_of_a_request_that_is_refused_alone_fail_with_it(home: Home) -> None:
    twins(home)
    message = "requests.0.custom_id: String should match pattern"
    home.fault(Call.CREATE, status=400, message=message)
    run(home)
    assert {d.path: d.status for d in home.documents().values()} == {
        "d0.md": FAILED,
        "d1.md": FAILED,
        "d2.md": FAILED,
        "other.md": REPORTED,
    }


def test_a_lost_answer_is_recognised_by_what_was_sent(home: Home) -> None:
    twins(home)
    home.lose_answer()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


def test_a_result_that_never_comes_fails_its_twins_too(home: Home) -> None:
    for number in range(3):
        home.write(f"d{number}.md", TEXT)
    home.see()
    home.simulator.faults.lost_lines = 1
    run(home)
    assert only(home, FAILED)
    [batch] = home.batches()
    assert batch.totals is not None
    assert (batch.totals.failed, batch.totals.twins, batch.totals.unpriced) == (3, 2, 1)


def test_a_reading_that_is_cut_between_twins_goes_on_with_the_others(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.results._FLUSH_LINES", 2)
    home.policy = Policy()
    twins(home, 9)
    home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=1)
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    [batch] = home.batches(BatchStatus.COLLECTED)
    assert batch.totals is not None
    assert (batch.totals.reported, batch.totals.twins) == (10, 8)


def test_a_twin_whose_report_has_no_room_fails_alone_and_is_kept(home: Home) -> None:
    twins(home)
    asyncio.run(submit(home.deps))
    (home.root / "output" / "d1.md.md").mkdir()
    run(home)
    statuses = home.statuses()
    assert statuses["d1.md"] is FAILED
    assert {statuses[path] for path in ("d0.md", "d2.md", "other.md")} == {REPORTED}
    failure = home.documents()["d1.md"].failure
    assert failure is not None
    assert failure.type == "report_not_written"


def test_cutting_by_requests_counts_twins_as_places(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_batch_requests=2))
    twins(home, 4)
    asyncio.run(submit(home.deps))
    assert all(batch.size <= 2 for batch in home.batches())
    run(home)
    assert only(home, REPORTED)


def test_what_is_canceled_before_it_is_sent_takes_its_twins_along(home: Home) -> None:
    twins(home)
    assert only(home, WAITING)
    asyncio.run(submit(home.deps))
    assert only(home, DocumentStatus.IN_BATCH)
