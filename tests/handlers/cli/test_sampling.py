"""`docmill run --sample N`: only the sample is sent, once, and it says what the rest may cost."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from tests.handlers.cli.command import (
    Docmill,
    Ended,
    Provider,
    ended,
    failures,
    line_with,
    reports,
    summary,
)

RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n"
COUNT = 40


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def command(tmp_path: Path, out: Path) -> tuple[object, ...]:
    """A run over forty documents of two kinds in two folders, some rows, all sizes."""
    (tmp_path / "recipe.md").write_text(RECIPE)
    for number in range(30):
        place = tmp_path / "in" / f"g{number % 2}" / f"{number:02}.{'md' if number % 3 else 'txt'}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"document {number} " * (1 + number * number))
    rows = "".join(f'{{"id": "r{n}", "text": "row {n}"}}\n' for n in range(10))
    (tmp_path / "in" / "rows.jsonl").write_text(rows)
    where = ("run", tmp_path / "in", "--out", out, "--recipe", tmp_path / "recipe.md")
    return (*where, "--poll-interval", "0.05")


def projected(done: Ended) -> dict[str, Any]:
    [found] = [event for event in done.events if event["event"] == "projected"]
    return found


def test_the_sample_is_reported_and_the_rest_waits_and_is_projected(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    done = docmill(*command, "--sample", 8, "--json")
    assert done.status == 3, "the rest is open"
    assert done.events[-1]["event"] == "finished"
    assert len(provider.requested()) == len(reports(out)) == 8
    kinds = {Path(path).suffixes[0] if "." in path[:-3] else "row" for path in reports(out)}
    assert kinds == {".md", ".txt", "row"}
    found = projected(done)
    assert (found["sample"], found["observed"], found["documents"]) == (8, 8, COUNT - 8)
    assert found["reported"] == 8
    spent = summary(out)["cost_usd"]
    assert found["sample_usd"] == pytest.approx(spent)
    assert found["low_usd"] <= found["likely_usd"] <= found["high_usd"] < found["at_most_usd"]

    whole = docmill(*command, "--json")
    assert whole.status == 0
    assert set(provider.requested().values()) == {1}
    assert len(reports(out)) == COUNT
    rest = summary(out)["cost_usd"] - spent
    assert found["low_usd"] / 2 < rest < 2 * found["high_usd"]


def test_the_same_sample_again_is_not_sent_again_and_says_the_same(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    first = projected(docmill(*command, "--sample", 5, "--json"))
    asked = provider.requested()
    again = projected(docmill(*command, "--sample", 5, "--json"))
    assert provider.requested() == asked
    assert {**again, "at": ""} == {**first, "at": ""}


def test_what_an_earlier_run_left_waiting_or_planned_is_not_sent(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults.script.append(Fault(call=Call.CREATE, status=401, times=None))
    assert docmill(*command).status == 2
    standing = docmill("status", out, "--json").events[0]["documents"]
    assert standing["in_batch"] > 4, "they are claimed for plans"
    assert standing["reported"] == 0
    provider.running.simulator.faults.script.clear()
    done = docmill(*command, "--sample", 4, "--json")
    assert done.status == 3
    assert len(provider.requested()) == len(reports(out)) == 4
    assert (projected(done)["observed"], projected(done)["documents"]) == (4, COUNT - 4)
    assert docmill(*command).status == 0
    assert set(provider.requested().values()) == {1}
    assert len(reports(out)) == COUNT


def test_what_comes_back_from_an_earlier_batch_is_not_sent_with_the_sample(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults.expire_rate = 1.0
    provider.running.simulator.settings = SimulatorSettings(duration_s=0.5)
    assert docmill(*command, "--no-wait").status == 3
    provider.running.simulator.faults.expire_rate = 0.0
    before = provider.batches()
    done = docmill(*command, "--sample", 4, "--json")
    [chosen] = [event for event in done.events if event["event"] == "sampled"]
    assert (chosen["documents"], chosen["of"]) == (4, COUNT)
    assert len(reports(out)) == 4
    assert provider.batches() - before <= 4
    assert docmill(*command).status == 0
    assert len(reports(out)) == COUNT


def test_a_sample_that_is_interrupted_goes_on_with_the_same_documents(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    with docmill.start(*command, "--sample", 6) as process:
        line_with(process, "in batches (processing 6 of 6)")
        process.send_signal(2)
        done = ended(process)
    assert done.status == 130
    assert "the same command resumes from here" in done.err
    provider.running.clock.advance(600)
    again = docmill(*command, "--sample", 6)
    assert again.status == 3
    assert "the sample, 6 of 40 documents: 6 reported" in again.out
    assert len(reports(out)) == 6
    assert set(provider.requested().values()) == {1}


def test_what_fails_in_the_sample_is_told_by_its_type(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults.truncate_rate = 1.0
    for number in range(30):
        (tmp_path / "in" / "g0" / f"e{number:02}.dat").write_bytes(bytes(range(256)))
    done = docmill(*command, "--sample", 10, "--json")
    found = projected(done)
    assert sum(found["failures"].values()) == 10 - found["reported"] > 0
    assert set(found["failures"]) == {line["type"] for line in failures(tmp_path / "out")}
    assert found["truncated"] == found["reported"] > 0
    said = docmill(*command, "--sample", 10).out
    assert "of them cut off at max_tokens; " in said
    assert "to go on with all: docmill run " in said
    assert "--sample" not in said.splitlines()[-1]


def test_a_sample_is_asked_about_by_its_own_price_and_a_no_forgets_all(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    [said] = [e for e in docmill(*command, "--sample", 4, "--no-wait", "--json").events
              if e["event"] == "estimated"]  # fmt: skip
    assert said["documents"] == 4
    most = Decimal(str(said["at_most_usd"]))
    other = [f"{each}-other" if each == out else each for each in command]
    refused = docmill.alone(*other, "--sample", 4, "--ask-above", most - Decimal("0.0001"))
    assert refused.status == 2
    [standing] = docmill("status", f"{out}-other", "--json").events
    assert standing["documents"]["waiting"] == 0
    screen, status = docmill.at_terminal(*other, "--sample", 4, "--ask-above", most, answers={})
    assert status == 3
    assert "to go on with all:" in " ".join(screen.split())


def test_a_sample_of_all_is_the_whole_run(
    docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    done = docmill(*command, "--sample", 500)
    assert done.status == 0
    assert len(provider.requested()) == COUNT
    assert "to go on" not in done.out


def test_a_limit_holds_of_the_sample_only_what_is_above_it(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    done = docmill(*command, "--sample", 4, "--max-cost", "0.001", "--json")
    assert projected(done)["failures"] == {"held_by_max_cost": 4}
    assert [line["type"] for line in failures(out)] == ["held_by_max_cost"] * 4
    assert provider.batches() == 0


def test_a_sample_and_a_dry_run_are_not_both(docmill: Docmill, command: tuple[object, ...]) -> None:
    done = docmill(*command, "--sample", 4, "--dry-run")
    assert done.status == 2
    assert "--sample sends and --dry-run doesn't" in done.said
