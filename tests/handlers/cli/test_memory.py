"""What is remembered between commands, since when: the recipe's place, the limit of costs."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.cli import commands
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Faults
from tests.handlers.cli.command import (
    Docmill,
    Provider,
    failures,
    reports,
    write_documents,
)

RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n## Old\n\n{{ document.text }}\n"
MENDED = RECIPE.replace("## Old", "## New")
"""The simulator's reports have the headings of their prompt."""

BROKEN = RECIPE.replace("max_tokens", "max_tokns")
COUNT = 3
ASKED = ("--ask-above", "0")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(RECIPE)
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def command(tmp_path: Path, out: Path, recipe: Path) -> tuple[object, ...]:
    """A run over three documents."""
    write_documents(tmp_path / "in", COUNT)
    return ("run", tmp_path / "in", "--out", out, "--recipe", recipe, "--poll-interval", "0.05")


@pytest.fixture
def refused(docmill: Docmill, provider: Provider, command: tuple[object, ...], out: Path) -> None:
    """The API finds every request of the first run invalid."""
    faults = Faults(error_rate=1.0, error_type="invalid_request_error")
    provider.running.simulator.faults = faults
    assert docmill(*command).status == 1
    assert len(failures(out)) == COUNT
    provider.running.simulator.faults = Faults()


def headings(out: Path) -> set[str]:
    """The headings of all reports."""
    texts = [(out / name).read_text() for name in reports(out)]
    return {line for text in texts for line in text.splitlines() if line.startswith("## ")}


@pytest.mark.usefixtures("refused")
def test_retry_takes_the_recipe_as_it_was_mended(out: Path, docmill: Docmill, recipe: Path) -> None:
    assert docmill("retry", out).status == 1, "by the same recipe it would be refused again"
    recipe.write_text(MENDED)
    done = docmill("retry", out)
    assert (done.status, done.err) == (0, "")
    assert "3 failed documents to be tried again" in done.out
    assert headings(out) == {"## New"}


@pytest.mark.usefixtures("refused")
def test_the_same_run_tries_again_what_was_refused_once_its_recipe_is_mended(
    out: Path, docmill: Docmill, provider: Provider, recipe: Path, command: tuple[object, ...]
) -> None:
    assert docmill(*command).status == 1
    assert provider.batches() == 1, "by the same recipe it would be refused again"
    recipe.write_text(MENDED)
    assert docmill(*command).status == 0
    assert failures(out) == []
    assert headings(out) == {"## New"}


def test_another_recipe_does_not_pay_again_for_what_was_answered(
    out: Path, docmill: Docmill, provider: Provider, recipe: Path, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults = Faults(refuse_rate=1.0)
    assert docmill(*command).status == 1
    assert {line["type"] for line in failures(out)} == {"refusal"}
    recipe.write_text(MENDED)
    assert docmill(*command).status == 1
    assert docmill("retry", out).status == 1
    assert provider.batches() == 1


@pytest.mark.usefixtures("refused")
def test_a_recipe_is_found_from_any_folder(
    tmp_path: Path, out: Path, docmill: Docmill, command: tuple[object, ...], recipe: Path
) -> None:
    recipe.write_text(MENDED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        relative = ["review.md" if word == recipe else word for word in command]
        assert docmill(*relative, "--no-wait").status == 3
    recipe.write_text(MENDED.replace("## New", "## Newest"))
    assert docmill("retry", out).status == 0
    (out / "doc-000.txt.md").unlink()
    assert docmill(*command).status == 1
    assert docmill("retry", out).status == 0
    assert headings(out) == {"## New", "## Newest"}


@pytest.mark.usefixtures("refused")
def test_a_recipe_that_is_gone_is_used_as_it_was_and_that_is_said(
    out: Path, docmill: Docmill, recipe: Path
) -> None:
    recipe.unlink()
    done = docmill("retry", out, "--json")
    assert f"the recipe {recipe} is gone" in done.said
    assert done.events[0]["event"] == "started"
    done = docmill("retry", out, "--all")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"docmill: the recipe {recipe} is gone")
    assert headings(out) == {"## Old"}


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    "break_it", [lambda r: r.write_text(BROKEN), lambda r: r.write_bytes(b"\xff")]
)
def test_a_recipe_that_is_broken_is_one_line_and_changes_nothing(
    out: Path, docmill: Docmill, recipe: Path, break_it: Callable[[Path], object]
) -> None:
    before = failures(out)
    break_it(recipe)
    done = docmill("retry", out, "--all")
    assert (done.status, done.out) == (2, "")
    assert "review.md" in done.said
    assert docmill("status", out).status == 1
    assert failures(out) == before
    recipe.write_text(RECIPE)
    assert docmill("retry", out, "--all").status == 0


def test_cancel_needs_no_recipe(
    out: Path, docmill: Docmill, provider: Provider, recipe: Path, command: tuple[object, ...]
) -> None:
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    assert docmill(*command, "--no-wait").status == 3
    recipe.write_text(BROKEN)
    done = docmill("cancel", out)
    assert (done.status, done.err) == (1, "")
    assert {line["type"] for line in failures(out)} == {"canceled"}


@pytest.mark.parametrize("answer", ["n\n", None])
def test_a_first_run_that_did_not_go_on_leaves_nothing_to_retry(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...], answer: str | None
) -> None:
    docmill.at_terminal(*command, *ASKED, answers={"Go on?": answer})
    told = docmill("status", out, "--json")
    assert told.status == 3
    [found] = told.events
    assert (found["recipe"], found["simulated"]) == (None, None)
    assert found["documents"]["waiting"] == (COUNT if answer is None else 0)
    for words in (("retry", out), ("cancel", out)):
        done = docmill(*words)
        assert done.status == 2
        assert "nothing was run here yet" in done.said
    assert provider.batches() == 0
    assert docmill(*command).status == 0
    assert provider.batches() == 1


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("answer", ["n\n", None])
def test_what_a_declined_run_was_asked_for_is_forgotten(
    tmp_path: Path, out: Path, docmill: Docmill, command: tuple[object, ...], answer: str | None
) -> None:
    other = tmp_path / "other.md"
    other.write_text(MENDED)
    declined = [other if word == tmp_path / "review.md" else word for word in command]
    docmill.at_terminal(*declined, *ASKED, "--max-cost", "7", answers={"Go on?": answer})
    told = docmill("status", out, "--json").events[0]
    assert told["recipe"] == "review.md"
    done = docmill("retry", out, "--json", "--all")
    assert done.status == 0
    [estimated] = [event for event in done.events if event["event"] == "estimated"]
    assert (estimated["recipe"], estimated["max_cost_usd"]) == ("review.md", None)
    assert headings(out) == {"## Old"}


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("answer", ["n\n", None])
def test_a_retry_that_did_not_go_on_leaves_its_failures_and_is_not_submitted_later(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...], answer: str | None
) -> None:
    before, standing = failures(out), docmill("status", out).out
    screen, _ = docmill.at_terminal("retry", out, "--all", *ASKED, answers={"Go on?": answer})
    assert "3 documents" in " ".join(screen.split()), "what is asked about is what would be sent"
    assert failures(out) == before
    assert docmill("status", out).out == standing
    assert docmill(*command).status == 1
    assert provider.batches() == 1
    assert docmill("retry", out, "--all").status == 0


@pytest.mark.usefixtures("refused")
def test_a_retry_that_ended_between_the_yes_and_its_work_is_done_by_the_same_command(
    out: Path, docmill: Docmill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = failures(out)
    with monkeypatch.context() as patch:
        patch.setattr(commands, "let_wait", full)
        assert "run the same command again" in docmill("retry", out, "--all").said
    assert failures(out) == before
    assert docmill("retry", out, "--all").status == 0
    assert headings(out) == {"## Old"}


@pytest.mark.parametrize("answer", ["n\n", None])
def test_a_limit_that_was_not_lifted_after_all_holds_what_it_held(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...], answer: str | None
) -> None:
    assert docmill(*command, "--max-cost", "0.001").status == 1
    before, standing = failures(out), docmill("status", out).out
    screen, _ = docmill.at_terminal(
        *command, *ASKED, "--max-cost", "none", answers={"Go on?": answer}
    )
    assert "3 documents" in " ".join(screen.split())
    assert failures(out) == before
    assert docmill("status", out).out == standing
    assert docmill(*command).status == 1
    assert provider.batches() == 0
    assert docmill(*command, "--max-cost", "none").status == 0


def test_a_simulated_run_may_follow_a_real_one_that_did_not_go_on_and_no_other(
    out: Path, docmill: Docmill, command: tuple[object, ...]
) -> None:
    docmill.at_terminal(*command, *ASKED, answers={"Go on?": None})
    assert docmill(*command, "--simulate").status == 0
    real = docmill(*command)
    assert real.status == 2
    assert "holds simulated reports" in real.said


def test_a_limit_holds_for_later_runs_until_it_is_lifted(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    assert docmill(*command, "--max-cost", "0.001").status == 1
    for words in (command, ("retry", out), (*command, "--json")):
        done = docmill(*words)
        assert done.status == 1
        said = done.err if "--json" in words else done.out
        assert ("--max-cost none" in said) == (words[0] == "run")
        assert {line["type"] for line in failures(out)} == {"held_by_max_cost"}
    assert provider.batches() == 0
    lifted = docmill(*command, "--max-cost", "none")
    assert (lifted.status, lifted.err) == (0, "")
    again = docmill(*command, "--json")
    assert (again.status, again.err) == (0, "")


def test_a_limit_given_once_goes_before_the_recipes_which_holds_once_it_is_lifted(
    out: Path, docmill: Docmill, recipe: Path, command: tuple[object, ...]
) -> None:
    recipe.write_text(RECIPE.replace("---\n##", "max_cost: 9\n---\n##"))
    told: list[float] = []
    for words in ((), ("--max-cost", "5"), (), ("--max-cost", "None")):
        Path(command[1], f"{len(told)}.txt").write_text("x")  # type: ignore[arg-type]
        done = docmill(*command, "--json", *words)
        assert done.status == 0
        told += [e["max_cost_usd"] for e in done.events if e["event"] == "estimated"]
    assert told == [9, 5, 5, 9]
    assert json.loads((out / "summary.json").read_text())["documents"]["reported"] == COUNT + 4


def test_a_limit_that_can_not_be_kept_says_where_it_is_from(
    docmill: Docmill, command: tuple[object, ...]
) -> None:
    assert docmill(*command, "--max-cost", "5").status == 0
    done = docmill(*command, "--model", "claude-nobody")
    assert done.status == 2
    assert "the price of claude-nobody is not known" in done.said
    assert "lift it with --max-cost none" in done.said
