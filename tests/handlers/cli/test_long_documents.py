"""A document beyond the model's context through the command line, at a real model's size."""

import json
from pathlib import Path

import pytest

from shared.adapters.simulator.faults import Call, Fault
from tests.handlers.cli.command import Docmill, Provider, failures, reports, summary
from tests.handlers.cli.test_run import QUICK, header

LONG = "".join(f"## Clause {n}\n\n{'Both parties agree on this. ' * 40}\n\n" for n in range(950))
"""1.08 million characters; the model takes 200,000 tokens."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(
        "---\nmodel: claude-haiku-4-5\n---\nReview it.\n\n## Risks\n\n{{ document.text }}\n"
    )
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    found.mkdir()
    (found / "long.md").write_text(LONG)
    (found / "short.md").write_text("# Short\n")
    return found


def test_it_becomes_one_report_that_says_of_how_many_parts(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    said = docmill("estimate", folder, "--recipe", recipe)
    assert "2 documents, in 5 requests as some are too long for one" in said.out
    [told] = docmill("estimate", folder, "--recipe", recipe, "--json").events
    assert (told["documents"], told["requests"]) == (2, 5)
    out = tmp_path / "out"
    done = docmill("run", folder, "--out", out, *QUICK, recipe)
    assert (done.status, done.err) == (0, "")
    assert "2 of 2 documents reported" in done.out
    assert "long.md is too long for one request: 3 of 3 parts are asked about" in done.out
    assert reports(out) == {"long.md.md", "short.md.md"}
    head = header(out / "long.md.md")
    assert head["parts"] == 3
    assert "parts" not in header(out / "short.md.md")
    found = summary(out)
    assert found["documents"]["total"] == found["outcomes"]["reported"] == 2
    assert found["outcomes"]["parts"] == 3
    assert int(str(head["input_tokens"])) > 250_000
    costs = [batch["cost_usd"] for batch in found["batches"]]
    assert sum(costs) == pytest.approx(found["cost_usd"])
    assert len(costs) == 3
    again = docmill("run", folder, "--out", out, *QUICK, recipe)
    assert again.status == 0
    assert summary(out)["cost_usd"] == found["cost_usd"]
    assert docmill("status", out).out.count("long.md") == 0


def test_a_part_that_fails_is_named_and_retry_pays_for_it_alone(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    out = tmp_path / "out"
    faults = provider.running.simulator.faults
    faults.refuse_rate, faults.containing = 1.0, "-0-0001-"
    done = docmill("run", folder, "--out", out, *QUICK, recipe)
    assert done.status == 1
    [failure] = failures(out)
    assert failure["path"] == "long.md"
    assert failure["message"].startswith("part 2 of 3: the model refused")
    faults.refuse_rate = 0.0
    before = summary(out)["outcomes"]
    assert docmill("retry", out, "--all").status == 0
    after = summary(out)["outcomes"]
    assert after["parts"] - before["parts"] == 1
    assert header(out / "long.md.md")["parts"] == 3


def test_split_never_leaves_it_whole_and_says_how_to_split_it(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("---\nReview", "split: never\n---\nReview"))
    out = tmp_path / "out"
    assert docmill("run", folder, "--out", out, *QUICK, recipe).status == 1
    [failure] = failures(out)
    assert failure["type"] == "document_too_large"
    recipe.write_text(recipe.read_text().replace("split: never", "split: sometimes"))
    refused = docmill("run", folder, "--out", out, *QUICK, recipe)
    assert refused.status == 2
    assert "review.md:3: split: 'sometimes' is neither auto nor never" in refused.err


def test_a_lost_answer_to_the_parts_is_found_again(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    script = provider.running.simulator.faults.script
    script.append(Fault(call=Call.CREATE, status=500, after_effect=True))
    out = tmp_path / "out"
    docmill.environment["DOCMILL_DOUBT_GRACE_S"] = "0"
    done = docmill("run", folder, "--out", out, *QUICK, recipe)
    assert done.status == 0
    assert summary(out)["outcomes"]["parts"] == 3
    assert json.loads((out / "summary.json").read_text())["documents"]["reported"] == 2


def test_the_first_of_its_requests_is_shown(docmill: Docmill, folder: Path, recipe: Path) -> None:
    shown = docmill("recipes", "check", recipe, folder / "long.md")
    assert shown.status == 0
    assert "This is part 1 of 3" in shown.out
