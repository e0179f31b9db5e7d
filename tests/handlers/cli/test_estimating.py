"""`docmill estimate` and `run --dry-run`: what a run would do, told without doing any of it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.cli.command import Docmill, Provider, reports, write_documents

MODEL = "claude-opus-4-6"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(
        f"---\nmodel: {MODEL}\nmax_tokens: 1000\n---\nReview it.\n\n{{{{ document.text }}}}\n"
    )
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "in"
    write_documents(found / "legal", 3)
    write_documents(found / "sales", 2)
    (found / "rows.jsonl").write_text('{"id": "r1", "text": "a"}\n{"id": "r2", "text": "b"}\n')
    (found / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return found


def told(docmill: Docmill, *words: object) -> dict[str, Any]:
    done = docmill("estimate", *words, "--json")
    assert done.status == 0, done.err
    [event] = done.events
    return event


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_says_what_the_run_then_does_and_says(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    before = told(docmill, folder, "--recipe", recipe)
    assert provider.batches() == 0
    done = docmill(
        "run", folder, "--out", tmp_path / "out", "--recipe", recipe, "--json", "--yes",
        "--poll-interval", "0.05",
    )  # fmt: skip
    assert done.status == 1  # the photo
    [said] = [event for event in done.events if event["event"] == "estimated"]
    own = before["models"][0]
    assert (own["model"], before["documents"]) == (MODEL, said["documents"])
    assert own["input_tokens"] == said["input_tokens"]
    for name in ("likely_usd", "at_most_usd"):
        assert Decimal(own[name]) == Decimal(str(said[name]))
    assert before["batches"] == provider.batches()


def test_it_changes_nothing_and_needs_no_key(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    docmill.environment.pop("ANTHROPIC_API_KEY")
    out = tmp_path / "out"
    assert told(docmill, folder, "--out", out, "--recipe", recipe)["documents"] == 8
    dry = docmill("run", folder, "--out", out, "--recipe", recipe, "--dry-run")
    assert dry.status == 0, dry.err
    assert not out.exists()


def test_of_an_output_it_counts_what_is_left_and_leaves_the_state_as_it_is(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    out = tmp_path / "out"
    docmill("run", folder, "--out", out, "--recipe", recipe, "--yes", "--poll-interval", "0.05")
    assert len(reports(out)) == 7
    (folder / "legal" / "doc-000.txt").write_text("another version")
    (folder / "new.txt").write_text("new")
    state = contents(out)
    found = told(docmill, folder, "--out", out, "--recipe", recipe)
    assert contents(out) == state
    assert (found["reported"], found["documents"]) == (6, 2)


def test_what_can_not_be_sent_and_what_each_model_costs_is_said(
    docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("max_tokens: 1000", "max_tokens: 200000"))
    (folder / "rows.jsonl").write_text('{"id": "r1", "text": "a"}\nnonsense\n')
    done = docmill("estimate", folder, "--recipe", recipe)
    assert (done.status, done.err) == (0, "")
    assert "can't be sent: rows.jsonl" in done.out
    assert f"\n{MODEL} * " in done.out
    assert "\nclaude-opus-5 " in done.out
    assert "not with claude-haiku-4-5: 200,000 is above the 64,000 output tokens" in done.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nowhere",), "no such file or folder: nowhere"),
        ((".", "--recipe", "no-such"), "no recipe no-such"),
        ((".", "--group-by", "department"), "neither folder, none, date nor a column"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, docmill: Docmill, words: tuple[str, ...], why: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "empty" if word == "." else word for word in words]
    done = docmill("estimate", *given)
    assert done.status == 2
    assert why in done.said
