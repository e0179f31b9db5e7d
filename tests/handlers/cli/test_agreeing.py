"""The yes above a threshold: asked for at a terminal, refused where nobody can be asked."""

from decimal import Decimal
from pathlib import Path

import pytest

from handlers.cli.agreeing import Consent, agreed, consent, exposure
from handlers.cli.faults import Fault
from shared.adapters.builtin import catalog
from shared.domain.estimate import estimate
from shared.domain.group import Load
from shared.domain.recipe import parse_recipe
from tests.handlers.cli.command import Docmill, Provider, reports, write_documents

DEAR = {"DOCMILL_ASK_ABOVE": "0.001"}
RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n"


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "recipe.md").write_text(RECIPE)
    write_documents(tmp_path / "in", 3)
    where = ("run", tmp_path / "in", "--out", tmp_path / "out", "--recipe", tmp_path / "recipe.md")
    return (*where, "--poll-interval", "0.05")


def test_without_a_terminal_a_dear_run_sends_nothing_and_says_what_to_do(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    done = docmill.alone(*command, environment=DEAR)
    assert done.status == 2
    assert done.said.startswith("this may cost $0.0")
    assert " at most, more than the $0.001 spent without a yes" in done.said
    assert "nothing was sent. Say --yes, or set --ask-above or DOCMILL_ASK_ABOVE" in done.said
    assert provider.batches() == 0
    [standing] = docmill("status", tmp_path / "out", "--json").events
    assert standing["documents"]["waiting"] == 0, "as after a no, what came is forgotten"
    assert docmill(*command, "--yes", **DEAR).status == 0
    assert len(reports(tmp_path / "out")) == 3


def test_what_costs_no_more_than_the_threshold_is_not_asked_about_at_a_terminal(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    screen, status = docmill.at_terminal(*command, "--ask-above", 5, answers={"Go on?": "n\n"})
    assert status == 0
    assert "Go on?" not in screen
    assert provider.batches() == 1


def test_a_limit_below_the_threshold_is_a_bound_too_and_the_option_beats_the_setting(
    docmill: Docmill, command: tuple[object, ...]
) -> None:
    assert docmill(*command, "--max-cost", "0.0005", **DEAR).status == 1, "held, and not asked"
    assert docmill(*command, "--max-cost", "none", "--ask-above", "1", **DEAR).status == 0


def test_a_retry_asks_like_a_run_and_simulated_ones_cost_nothing(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults.expire_rate = 1.0
    assert docmill(*command, "--max-attempts", "1").status == 1
    provider.running.simulator.faults.expire_rate = 0.0
    refused = docmill("retry", tmp_path / "out", **DEAR)
    assert refused.status == 2
    assert "nobody can be asked here" in refused.said
    assert provider.batches() == 1
    assert docmill("retry", tmp_path / "out", "--ask-above", "1", **DEAR).status == 0
    words = [tmp_path / "simulated" if each == tmp_path / "out" else each for each in command]
    assert docmill(*words, "--simulate", **DEAR).status == 0


@pytest.mark.parametrize("text", ["-1", "much", "nan", "inf"])
def test_a_threshold_that_is_none_is_told(
    docmill: Docmill, command: tuple[object, ...], text: str
) -> None:
    assert docmill(*command, "--ask-above", text).status == 2
    said = docmill(*command, DOCMILL_ASK_ABOVE=text).said
    assert "DOCMILL_ASK_ABOVE must be a number from 0" in said


def test_what_has_no_price_is_above_any_threshold() -> None:
    recipe = parse_recipe(RECIPE.replace("claude-opus-4-6", "m"), name="r", catalog=catalog())
    guess = estimate(Load(documents=1, bytes=9), recipe, catalog(), at_most=None)
    most = exposure(guess, recipe)
    assert most is None
    with pytest.raises(Fault, match="cost an unknown amount, more"):
        agreed(most, Consent(yes=False, above=Decimal(10**9)))
    assert agreed(most, Consent(yes=True, above=Decimal(0)))


def test_a_dollar_may_be_spent_without_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCMILL_ASK_ABOVE", raising=False)
    given = consent(yes=False, ask_above=None)
    assert agreed(Decimal(1), given)
    with pytest.raises(Fault, match=r"cost \$1\.01 at most, more than the \$1 spent"):
        agreed(Decimal("1.01"), given)
