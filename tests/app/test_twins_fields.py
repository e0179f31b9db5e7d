"""The same request, and answers that go on, where answers have fields or reports are pages."""

import asyncio
import json
from typing import Any

import pytest

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app.collect import Collected
from shared.app.poll import poll
from shared.app.submit import submit
from shared.domain.document import DocumentStatus
from tests.app.fields import answer, recipe, tables
from tests.app.home import Home
from tests.app.jobs import FAILED, REPORTED, WAITING, only, run

TEXT = "# The same lease\n\nfor everybody"


def write(home: Home, *paths: str, text: str = TEXT) -> None:
    for path in paths:
        home.write(path, text)
    home.see()


def facts(home: Home, path: str) -> dict[str, Any]:
    found = json.loads((home.root / "output" / f"{path}.json").read_text())["docmill"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("output", ["json", "markdown", "text", "html"])
def test_a_twin_has_its_report_and_its_row_at_no_cost(home: Home, output: str) -> None:
    home.recipe = recipe(output=output)
    write(home, "a.md", "b.md", "c.md")
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 1
    rows = tables(home)
    assert [row["document"] for row in rows] == ["a.md", "b.md", "c.md"]
    assert len({(row["score"], row["risk"]) for row in rows}) == 1
    assert rows[0]["cost_usd"] > 0
    assert [row["cost_usd"] for row in rows[1:]] == [0, 0]
    assert [row["output_tokens"] for row in rows[1:]] == [0, 0]
    suffix = home.recipe.form.suffix
    report = (home.root / "output" / f"b.md{suffix}").read_text()
    assert "same_request_as" in report
    if output == "json":
        assert answer(home, "b.md") == answer(home, "a.md")
        assert facts(home, "b.md")["same_request_as"] == "a.md"


def test_twins_of_an_answer_that_is_invalid_are_tried_again_with_it(home: Home) -> None:
    home.recipe = recipe()
    home.simulator.faults.invalid_rate = 1.0
    write(home, "a.md", "b.md")
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    assert only(home, WAITING)
    home.simulator.faults.invalid_rate = 0.0
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    assert len(tables(home)) == 2


@pytest.mark.parametrize(
    ("output", "fields", "sent"), [("html", "", 2), ("json", "\n  n: integer", 2), ("text", "", 1)]
)
def test_only_what_a_report_holds_word_for_word_is_copied_in_a_later_batch(
    home: Home, output: str, fields: str, sent: int
) -> None:
    home.recipe = recipe(output=output, fields=fields)
    write(home, "a.md")
    run(home)
    write(home, "b.md")
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == sent
    suffix = home.recipe.form.suffix
    assert (home.root / "output" / f"b.md{suffix}").exists()
    assert len(tables(home) if fields else [1, 2]) == 2


def test_a_copy_takes_the_place_of_a_report_of_another_suffix(home: Home) -> None:
    home.recipe = recipe(output="markdown", fields="")
    write(home, "b.md", text="# Another")
    run(home)
    home.recipe = recipe(output="text", fields="")
    write(home, "a.md")
    run(home)
    write(home, "b.md")
    run(home)
    assert home.requested() == 2
    assert only(home, REPORTED)
    output = home.root / "output"
    assert (output / "b.md.txt").exists()
    assert not (output / "b.md.md").exists()
    assert home.documents()["b.md"].report_suffix == ".txt"


@pytest.fixture
def cut(home: Home) -> Home:
    home.recipe = recipe(more="continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    write(home, "a.md", "b.md")
    write(home, "c.md", text="# Another lease")
    first_answers(home)
    return home


def first_answers(home: Home) -> None:
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    assert asyncio.run(home.collect_all()) == [Collected.DONE]


def test_json_that_was_cut_off_goes_on_and_is_read_once_it_is_whole(cut: Home) -> None:
    assert only(cut, WAITING)
    assert not list((cut.root / "output").glob("*.json"))
    [batch] = cut.batches()
    assert batch.totals is not None
    assert (batch.totals.continued, batch.totals.reported, batch.totals.failed) == (3, 0, 0)
    cut.simulator.faults.truncate_rate = 0.0
    run(cut)
    assert only(cut, REPORTED)
    assert cut.requested() == 4
    assert facts(cut, "a.md")["continued"] == 1
    assert facts(cut, "a.md")["truncated"] is False
    rows = {row["document"]: row for row in tables(cut)}
    assert {name: rows["a.md"][name] for name in answer(cut, "a.md")} == answer(cut, "a.md")
    assert answer(cut, "b.md") == answer(cut, "a.md")
    assert rows["b.md"]["cost_usd"] == 0
    total = sum(batch.totals.cost for batch in cut.batches() if batch.totals)
    assert sum(row["cost_usd"] for row in rows.values()) == pytest.approx(float(total))


def test_a_reading_that_was_cut_has_the_rows_of_what_went_on_all_the_same(cut: Home) -> None:
    cut.simulator.faults.truncate_rate = 0.0
    asyncio.run(submit(cut.deps))
    cut.later(minutes=2)
    asyncio.run(poll(cut.deps))
    cut.fault(Call.RESULTS, cut=Cut.LINE_END, lines=1, times=1)
    assert asyncio.run(cut.collect_all()) == [Collected.LATER]
    assert REPORTED in cut.statuses().values()
    run(cut)
    assert only(cut, REPORTED)
    rows = {row["document"]: row for row in tables(cut)}
    assert sorted(rows) == ["a.md", "b.md", "c.md"]
    total = sum(batch.totals.cost for batch in cut.batches() if batch.totals)
    assert sum(row["cost_usd"] for row in rows.values()) == pytest.approx(float(total))


def test_json_that_stays_cut_off_fails_and_says_what_to_raise(cut: Home) -> None:
    run(cut)
    assert only(cut, FAILED)
    assert cut.requested() == 2 * 3
    failure = cut.documents()["a.md"].failure
    assert failure is not None
    assert failure.type == "output_cut"
    assert tables(cut) == []


def test_json_that_was_cut_off_under_another_recipe_is_no_report(cut: Home) -> None:
    cut.recipe = recipe(fields="\n  n: integer\n", more="continue: 2")
    run(cut)
    assert only(cut, DocumentStatus.FAILED)
    assert cut.requested() == 2
    failure = cut.documents()["c.md"].failure
    assert failure is not None
    assert failure.type == "recipe_changed"
    assert "`docmill retry --all`" in failure.message


def test_a_page_that_goes_on_takes_the_place_of_what_was_there_of_it(home: Home) -> None:
    home.recipe = recipe(output="markdown", fields="", more="continue: 1")
    home.simulator.faults.truncate_rate = 1.0
    write(home, "a.md")
    first_answers(home)
    assert (home.root / "output" / "a.md.md").exists()
    home.recipe = recipe(output="html", fields="", more="continue: 1")
    home.simulator.faults.truncate_rate = 0.0
    run(home)
    assert only(home, REPORTED)
    assert "<th>continued</th><td>1</td>" in (home.root / "output" / "a.md.html").read_text()
    assert not (home.root / "output" / "a.md.md").exists()
