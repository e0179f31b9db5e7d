import asyncio
import json

import pytest
import yaml

from shared.adapters.simulator.faults import Call
from shared.adapters.simulator.messages import Cut
from shared.app.control import requeue, requeue_unpaid
from shared.app.report_places import put_in_place
from shared.app.submit import submit
from shared.domain.document import DocumentStatus
from tests.app.fields import FIELDS, answer, recipe, tables
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, fill, only, run


@pytest.fixture(autouse=True)
def _fields(home: Home) -> None:
    home.recipe = recipe()


def test_an_answer_by_fields_becomes_a_json_report(home: Home) -> None:
    fill(home, 3)
    home.see()
    run(home)
    assert only(home, REPORTED)
    found = answer(home, "d0.md")
    assert list(found) == ["score", "risk", "signed", "parties"]
    assert 0 <= found["score"] <= 100
    assert found["risk"] in ("low", "medium", "high")
    assert len({json.dumps(answer(home, f"d{n}.md")) for n in range(3)}) > 1
    assert not list((home.root / "output").glob("*.md"))


@pytest.mark.parametrize(
    ("output", "suffix"), [("markdown", ".md"), ("text", ".txt"), ("html", ".html")]
)
def test_with_another_output_the_report_is_a_text_and_has_the_fields(
    home: Home, output: str, suffix: str
) -> None:
    home.recipe = recipe(output=output)
    fill(home, 1)
    home.see()
    run(home)
    report = (home.root / "output" / f"d0.md{suffix}").read_text()
    assert "Placeholder by docmill" in report
    [row] = tables(home)
    if output == "html":
        assert f"<th>score</th><td>{row['score']}</td>" in report
    else:
        header = yaml.safe_load(report.split("\n---\n")[0].removeprefix("---\n"))
        assert header["fields"]["score"] == row["score"]


def test_without_fields_a_recipe_may_ask_for_pages_or_text(home: Home) -> None:
    home.recipe = recipe(output="html", fields="")
    fill(home, 1)
    home.see()
    run(home)
    page = (home.root / "output" / "d0.md.html").read_text()
    assert "<blockquote>\n<p>Placeholder by docmill" in page
    assert not (home.root / "output" / "results.csv").exists()


def test_an_invalid_answer_is_tried_again_and_then_fails_with_its_place(home: Home) -> None:
    home.simulator.faults.invalid_rate = 1.0
    fill(home, 4)
    home.see()
    run(home)
    assert only(home, FAILED)
    assert len(home.batches()) == 3
    failures = [document.failure for document in home.documents().values()]
    assert {failure.type for failure in failures if failure} == {"invalid_output"}
    assert {failure.attempts for failure in failures if failure} == {3}
    messages = " ".join(failure.message for failure in failures if failure)
    assert "parties" in messages
    totals = [batch.totals for batch in home.batches() if batch.totals]
    assert [(each.retried, each.failed) for each in totals] == [(4, 0), (4, 0), (0, 4)]
    assert all(each.cost > 0 and each.usage.output_tokens > 0 for each in totals)
    assert tables(home) == []
    home.simulator.faults.invalid_rate = 0.0
    assert requeue(home.deps, JOB) == 4
    run(home)
    assert only(home, REPORTED)


def test_nothing_is_paid_for_beyond_the_attempts_however_often_results_are_read(home: Home) -> None:
    home.simulator.faults.invalid_rate = 0.5
    fill(home, 12)
    home.see()
    for _ in range(4):
        home.fault(Call.RESULTS, cut=Cut.LINE_END, lines=5, times=2)
    run(home)
    tried = sum(len(batch.rows) for batch in home.simulator.batches.values())
    totals = [batch.totals for batch in home.batches() if batch.totals]
    assert sum(each.outcomes for each in totals) == tried <= 36
    assert sum(each.reported for each in totals) == sum(
        status is REPORTED for status in home.statuses().values()
    )
    statuses = home.statuses()
    reported = sorted(path for path, status in statuses.items() if status is REPORTED)
    assert [row["document"] for row in tables(home)] == reported


def test_an_answer_cut_at_max_tokens_fails_at_once_and_says_what_to_raise(home: Home) -> None:
    home.simulator.faults.truncate_rate = 1.0
    fill(home, 2)
    home.see()
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable, failure.attempts) == ("output_cut", False, 1)
    assert "raise max_tokens" in failure.message
    assert len(home.batches()) == 1
    assert requeue_unpaid(home.deps, JOB) == 0
    assert requeue(home.deps, JOB) == 0


def test_a_refusal_stays_a_refusal(home: Home) -> None:
    home.simulator.faults.refuse_rate = 1.0
    fill(home, 1)
    home.see()
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert failure.type == "refusal"


def test_answers_are_read_by_the_form_their_batch_was_sent_with(home: Home) -> None:
    fill(home, 2)
    home.see()
    asyncio.run(submit(home.deps))
    home.recipe = recipe(output="markdown", fields="\n  grade: [a, b]\n")
    run(home)
    assert only(home, REPORTED)
    assert answer(home, "d0.md")["risk"] in ("low", "medium", "high")


def test_another_output_pays_nothing_again_and_replaces_a_report_only_by_a_newer_one(
    home: Home,
) -> None:
    fill(home, 2)
    home.see()
    run(home)
    paid = home.requested()
    home.recipe = recipe(output="html", fields="")
    home.see()
    run(home)
    assert home.requested() == paid
    output = home.root / "output"
    assert (output / "d0.md.json").exists()
    home.write("d0.md", "another text")
    home.see()
    run(home)
    assert home.requested() == paid + 1
    assert (output / "d0.md.html").exists()
    assert not (output / "d0.md.json").exists()
    assert (output / "d1.md.json").exists()
    assert home.documents()["d0.md"].report_suffix == ".html"


def test_a_file_of_somebodys_in_the_place_of_a_former_report_stays(home: Home) -> None:
    fill(home, 1)
    home.see()
    run(home)
    (home.root / "output" / "d0.md.json").write_text('{"mine": 1}')
    home.recipe = recipe(output="markdown", fields="")
    home.write("d0.md", "another text")
    home.see()
    run(home)
    assert (home.root / "output" / "d0.md.json").read_text() == '{"mine": 1}'
    assert home.report("d0.md") is not None


@pytest.mark.parametrize("suffix", [".json", ".html", ".txt"])
def test_a_file_of_somebodys_keeps_a_document_from_being_sent(home: Home, suffix: str) -> None:
    output = {".json": "json", ".html": "html", ".txt": "text"}[suffix]
    home.policy = home.deps.policy.__class__(check_reports=True)
    object.__setattr__(home.deps, "policy", home.policy)
    home.recipe = recipe(output=output)
    (home.root / "output" / f"d0.md{suffix}").write_text("{}")
    fill(home, 1)
    home.see()
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert failure.type == "report_blocked"
    assert home.requested() == 0


def test_no_report_takes_the_name_of_a_file_of_docmills_own(home: Home) -> None:
    home.write("summary", "text")
    home.see()
    run(home)
    failure = home.documents()["summary"].failure
    assert failure is not None
    assert failure.type == "report_blocked"
    assert "summary.json" in failure.message


def test_no_report_lies_below_another(home: Home) -> None:
    home.write("a", "text")
    home.write("a.json/b.md", "text")
    home.see()
    run(home)
    failure = home.documents()["a.json/b.md"].failure
    assert failure is not None
    assert "below that of a" in failure.message
    assert home.statuses()["a"] is DocumentStatus.REPORTED


def test_a_report_that_is_kept_is_put_in_place_with_its_row(home: Home) -> None:
    fill(home, 2)
    home.see()
    asyncio.run(submit(home.deps))
    (home.root / "output" / "d0.md.json").mkdir()
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert failure.type == "report_not_written"
    assert [row["document"] for row in tables(home)] == ["d1.md"]
    home.recipe = recipe(output="markdown", fields=FIELDS)
    (home.root / "output" / "d0.md.json").rmdir()
    assert put_in_place(home.deps, JOB) == (1, frozenset())
    assert answer(home, "d0.md")["score"] >= 0
    assert [row["document"] for row in tables(home)] == ["d0.md", "d1.md"]
