import asyncio
import json

import pytest

from shared.app.drive import drive
from shared.app.publish import publish
from tests.app.home import JOB, Home
from tests.app.jobs import IN_BATCH, REPORTED, fill, only, run


def test_every_document_becomes_a_report(home: Home) -> None:
    fill(home)
    assert home.see().new == 5
    run(home)
    assert only(home, REPORTED)
    report = home.report("d0.md")
    assert report is not None
    assert "Placeholder" in report
    assert "## Risks" in report
    assert home.requested() == 5


def test_a_finished_job_run_again_submits_nothing(home: Home) -> None:
    fill(home)
    home.see()
    run(home)
    assert home.see().unchanged == 5
    run(home)
    assert home.requested() == 5


def test_only_what_is_new_or_changed_is_submitted(home: Home) -> None:
    fill(home)
    home.see()
    run(home)
    home.write("d0.md", "# Another\n")
    home.write("new.md", "# New\n")
    taken = home.see()
    assert (taken.new, taken.changed, taken.unchanged) == (1, 1, 4)
    run(home)
    assert home.requested() == 7
    assert only(home, REPORTED)


def test_leaving_early_still_collects_what_has_ended(home: Home) -> None:
    fill(home, 2)
    home.see()

    def leave() -> None:
        asyncio.run(drive(home.deps, sleep=home.sleep, waiting=False))

    leave()
    assert only(home, IN_BATCH)
    home.later(minutes=3)
    leave()
    assert only(home, REPORTED)


def test_failures_and_summary_are_always_the_current_truth(home: Home) -> None:
    home.write("empty.md", "")
    fill(home, 2)
    home.see()
    run(home)
    publish(home.deps, JOB)
    lines = (home.root / "output" / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["empty.md"]
    home.write("empty.md", "now with text")
    home.see()
    run(home)
    publish(home.deps, JOB)
    assert (home.root / "output" / "failures.jsonl").read_text() == ""
    summary = json.loads((home.root / "output" / "summary.json").read_text())
    assert summary["documents"]["reported"] == 3
    assert summary["cost_usd"] * 2 == pytest.approx(summary["cost_without_batches_usd"])
