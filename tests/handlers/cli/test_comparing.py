"""`docmill compare`: the same sample by each recipe or model, paid once, shown side by side."""

import re
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from tests.handlers.cli.command import Docmill, Ended, Provider, ended, line_with

COUNT = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(COUNT):
        place = tmp_path / "in" / f"g{number % 3}" / f"{number:02}.{'md' if number % 2 else 'txt'}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"document {number} " * (1 + 10 * number))
    return tmp_path / "in"


def recipe(tmp_path: Path, name: str, heading: str, model: str = "claude-opus-4-6") -> Path:
    found = tmp_path / name
    found.write_text(
        f"---\nmodel: {model}\nmax_tokens: 1000\n---\n## {heading}\n\n{{{{ document.text }}}}\n"
    )
    return found


@pytest.fixture
def command(tmp_path: Path, folder: Path) -> tuple[object, ...]:
    """Two recipes over four documents."""
    one, two = recipe(tmp_path, "a.md", "Summary"), recipe(tmp_path, "b.md", "Risks")
    words = ("compare", folder, "--out", tmp_path / "out", "--recipe", one, "--recipe", two)
    return (*words, "--sample", 4, "--poll-interval", "0.05")


def compared(done: Ended) -> dict[str, Any]:
    assert done.events[-1]["event"] == "compared", done.err
    return done.events[-1]


def reports(out: Path) -> dict[str, set[str]]:
    return {
        each.name: {str(path.relative_to(each)) for path in each.rglob("*.md")}
        for each in out.iterdir()
        if each.is_dir()
    }


def test_each_variant_reports_the_same_documents_in_a_folder_of_its_own(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    done = docmill(*command, "--json")
    assert done.status == 0
    found = compared(done)
    assert (found["sample"], found["documents"]) == (4, COUNT)
    one, two = found["variants"]
    assert (one["recipe"], two["recipe"]) == ("a.md", "b.md")
    by_variant = reports(tmp_path / "out")
    assert set(by_variant) == {one["name"], two["name"]}
    assert len(by_variant[one["name"]]) == 4
    assert by_variant[one["name"]] == by_variant[two["name"]]
    assert sum(provider.requested().values()) == 8
    for each in (one, two):
        assert (each["reported"], each["failed"], each["open"]) == (4, 0, 0)
        assert each["cost_usd"] < each["all_low_usd"] <= each["all_likely_usd"]
        assert each["all_likely_usd"] <= each["all_high_usd"]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<article>") == 8
    assert page.count("## Summary") == page.count("## Risks") == 4
    for path in by_variant[one["name"]]:
        assert f"<h2>{path.removesuffix('.md')}</h2>" in page


def test_again_nothing_is_paid_for_and_a_changed_recipe_pays_for_itself_only(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    first = compared(docmill(*command, "--json"))
    again = compared(docmill(*command, "--json"))
    assert sum(provider.requested().values()) == 8
    costs = [each["cost_usd"] for each in first["variants"]]
    assert [each["cost_usd"] for each in again["variants"]] == costs
    recipe(tmp_path, "b.md", "Dangers")
    third = compared(docmill(*command, "--json"))
    assert sum(provider.requested().values()) == 12
    assert third["variants"][0]["name"] == first["variants"][0]["name"]
    assert third["variants"][1]["name"] != first["variants"][1]["name"]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "## Dangers" in page
    assert "## Risks" not in page


def test_models_are_compared_with_one_recipe_and_priced_each(
    tmp_path: Path, docmill: Docmill, folder: Path
) -> None:
    given = ("--recipe", recipe(tmp_path, "a.md", "Summary"), "--sample", 3)
    models = ("--model", "claude-opus-4-6", "--model", "claude-sonnet-5")
    words = ("compare", folder, "--out", tmp_path / "out", *given, *models)
    done = docmill(*words, "--poll-interval", "0.05")
    assert done.status == 0
    assert re.search(r"^1: a\.md, claude-opus-4-6, in ", done.out, re.MULTILINE)
    assert re.search(r"^reported +3 +3$", done.out, re.MULTILINE)
    assert "a sample of 3 of 12 documents" in done.out
    found = compared(docmill(*words, "--poll-interval", "0.05", "--json"))
    dear, cheap = found["variants"]
    assert dear["cost_usd"] == pytest.approx(2.5 * cheap["cost_usd"])


def test_answers_and_names_are_text_in_the_page(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path
) -> None:
    attack = "<script>alert(1)</script>"
    (folder / "<img src=x>.md").write_text("x")
    one = recipe(tmp_path, "a.md", attack)
    two = recipe(tmp_path, "b.md", "\u202eRisks \x1b[2J</pre><b>")
    provider.running.simulator.faults.error_rate = 0.5
    provider.running.simulator.faults.error_type = "invalid_request_error"
    provider.running.simulator.faults.error_message = attack
    words = ("compare", folder, "--out", tmp_path / "out", "--recipe", one, "--recipe", two)
    done = docmill(*words, "--sample", 500, "--poll-interval", "0.05")
    assert done.status == 1
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "failed: invalid_request_error: &lt;script&gt;" in page
    assert "&lt;img src=x&gt;.md" in page
    for harm in ("<script", "<img", "<b>", "\u202e", "\x1b"):
        assert harm not in page
    assert not {"\u202e", "\x1b"} & set(done.out)
    assert "default-src 'none'" in page


def test_all_is_asked_about_once_before_anything_is_sent(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    refused = docmill.alone(*command, "--ask-above", "0.001")
    assert refused.status == 2
    assert "nobody can be asked here" in refused.err
    screen, status = docmill.at_terminal(
        *command, "--ask-above", "0.001", answers={"Go on?": "n\n"}
    )
    assert status == 3
    assert screen.count("Go on?") == 1
    assert "8 requests, at most $" in screen
    assert provider.batches() == 0
    assert not (tmp_path / "out").exists()
    screen, status = docmill.at_terminal(
        *command, "--ask-above", "0.001", answers={"Go on?": "y\n"}
    )
    assert status == 0
    assert provider.batches() == 2
    assert "nothing was submitted" not in screen


def test_one_that_is_interrupted_goes_on_where_it_was(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    with docmill.start(*command) as process:
        line_with(process, "waiting for its reports")
        process.send_signal(2)
        done = ended(process)
    assert done.status == 130
    assert "the same command resumes from here" in done.err
    assert provider.batches() == 2, "all are under way before any is waited for"
    provider.running.clock.advance(600)
    assert docmill(*command).status == 0
    assert provider.batches() == 2


def test_what_is_in_doubt_is_settled_and_not_paid_for_twice(
    docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults.script.append(Fault(call=Call.CREATE, status=500))
    assert docmill(*command).status == 0
    assert sum(provider.requested().values()) == 8


def test_it_works_simulated_and_says_so(tmp_path: Path, command: tuple[object, ...]) -> None:
    done = Docmill({}).alone(*command, "--simulate")
    assert done.status == 0, done.err
    assert done.out.startswith("docmill: using the bundled simulator")
    assert "reports side by side: " in done.out
    real = Docmill({})(*command, ANTHROPIC_API_KEY="x")
    assert real.status == 2
    assert "holds simulated reports" in real.said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name two recipes to compare"),
        (("--model", "claude-opus-4-6"), "name two recipes to compare"),
        (("--model", "claude-opus-4-6", "--model", "claude-opus-4-6"), "ask the same of"),
        (("--recipe", "nowhere.md", "--recipe", "x"), "no recipe nowhere.md"),
        (("--model", "claude-opus-4-6", "--model", "claude-haiku-4-5"), "above the 64,000"),
        (tuple(f"--model=claude-x-{n}" for n in range(11)), "at most 10 can be compared"),
    ],
)
def test_what_can_not_be_compared_is_one_line(
    tmp_path: Path, docmill: Docmill, folder: Path, words: tuple[str, ...], why: str
) -> None:
    done = docmill("compare", folder, "--out", tmp_path / "out", *words)
    assert done.status == 2
    assert why in done.said
    assert not (tmp_path / "out").exists()


def test_a_page_of_somebody_elses_is_not_written_over(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "compare.html").write_text("mine")
    done = docmill(*command)
    assert done.status == 2
    assert "compare.html" in done.said
    assert provider.batches() == 0
