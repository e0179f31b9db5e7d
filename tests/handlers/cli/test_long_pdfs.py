"""A PDF of more pages than a request takes through the command line, with a real model's limits."""

import csv
import json
from pathlib import Path

import pytest

from tests.adapters.converters import files
from tests.handlers.cli.command import Docmill, Provider, failures, summary
from tests.handlers.cli.test_run import QUICK

PARTS = 5
"""Of 110 pages, with room for 24 as they may be billed at most in 200,000 tokens."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(
        "---\nmodel: claude-haiku-4-5\noutput: json\nfields: {score: integer}\n---\n"
        "Review it.\n\n## Risks\n\n{{ document.text }}\n"
    )
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    (found / "long.pdf").write_bytes(files.pdf(*(f"Sheet {n}" for n in range(1, 111))))
    (found / "short.pdf").write_bytes(files.pdf("Sheet"))
    return found


def made(out: Path) -> set[str]:
    return {each.name for each in out.glob("*.pdf.json")}


def told(out: Path) -> dict[str, float]:
    found = json.loads((out / "long.pdf.json").read_text())["docmill"]
    assert isinstance(found, dict)
    return found


def test_it_is_estimated_sampled_and_run_and_report_row_and_summary_agree(
    tmp_path: Path, docmill: Docmill, folder: Path, recipe: Path
) -> None:
    said = docmill("estimate", folder, "--recipe", recipe, "--offline")
    assert f"2 documents, in {PARTS + 2} requests as some are too long for one" in said.out
    out = tmp_path / "out"
    sample = docmill("run", folder, "--out", out, "--simulate", *QUICK, recipe, "--sample", 1)
    assert sample.status == 3, sample.err
    assert made(out) == {"long.pdf.json"}
    done = docmill("run", folder, "--out", out, "--simulate", *QUICK, recipe)
    assert (done.status, done.err) == (0, "")
    shown = sample.out + done.out
    assert f"long.pdf is too long for one request: {PARTS} of {PARTS} parts are asked" in shown
    assert made(out) == {"long.pdf.json", "short.pdf.json"}
    found = summary(out)
    assert found["outcomes"]["parts"] == told(out)["parts"] == PARTS
    assert told(out)["input_tokens"] > 110 * 1_600
    rows = list(csv.DictReader((out / "results.csv").read_text("utf-8-sig").splitlines()))
    assert int(rows[0]["input_tokens"]) == told(out)["input_tokens"]
    assert float(rows[0]["cost_usd"]) == pytest.approx(told(out)["cost_usd"])
    assert sum(float(row["cost_usd"]) for row in rows) == pytest.approx(found["cost_usd"])


def test_a_part_that_fails_is_named_with_its_pages_and_retry_pays_for_it_alone(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    out = tmp_path / "out"
    faults = provider.running.simulator.faults
    faults.refuse_rate, faults.containing = 1.0, "-0-0001-"
    assert docmill("run", folder, "--out", out, *QUICK, recipe).status == 1
    [failure] = failures(out)
    assert failure["path"] == "long.pdf"
    assert failure["message"].startswith(f"part 2 of {PARTS} (pages 23-44): the model refused")
    faults.refuse_rate = 0.0
    before = summary(out)["outcomes"]
    assert docmill("retry", out, "--all").status == 0
    assert summary(out)["outcomes"]["parts"] - before["parts"] == 1
    assert told(out)["parts"] == PARTS


def test_the_first_of_its_requests_is_shown_with_its_pages(
    docmill: Docmill, folder: Path, recipe: Path
) -> None:
    shown = docmill("recipes", "check", recipe, folder / "long.pdf")
    assert shown.status == 0
    assert f"This is part 1 of {PARTS}" in shown.out
    assert "long.pdf, pages 1 to 22 of 110" in shown.out


def test_split_never_leaves_it_a_failure_that_costs_nothing(
    tmp_path: Path, docmill: Docmill, folder: Path, recipe: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("---\nReview", "split: never\n---\nReview"))
    out = tmp_path / "out"
    assert docmill("run", folder, "--out", out, "--simulate", *QUICK, recipe).status == 1
    [failure] = failures(out)
    assert (failure["path"], failure["type"]) == ("long.pdf", "too_many_pages")
    assert "it has 110 pages, and a request to this model takes 100" in failure["message"]
