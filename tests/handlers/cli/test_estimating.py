"""`docmill estimate` and `run --dry-run`: what a run would do, told without doing any of it."""

import json
import os
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from tests.adapters.converters import files
from tests.handlers.cli.command import (
    PATIENCE_S,
    ROOT,
    Docmill,
    Provider,
    reports,
    summary,
    write_documents,
)

MODEL = "claude-opus-4-6"
QUICK = ("--poll-interval", "0.05")


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
    for path in (found / "sales").iterdir():  # the same request would be paid for once
        path.write_text(path.read_text("utf-8").swapcase(), "utf-8")
    (found / "rows.jsonl").write_text('{"id": "r1", "text": "a"}\n{"id": "r2", "text": "b"}\n')
    (found / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    return found


def told(docmill: Docmill, *words: object) -> dict[str, Any]:
    done = docmill("estimate", *words, "--json")
    assert done.status == 0, done.err
    [event] = done.events
    return event


@pytest.mark.parametrize("command", ["estimate", "run"])
def test_its_event_has_a_time_and_amounts_as_exact_numbers(
    docmill: Docmill, tmp_path: Path, folder: Path, recipe: Path, command: str
) -> None:
    words = ("--out", tmp_path / "out", "--dry-run") if command == "run" else ()
    done = docmill(command, folder, "--recipe", recipe, "--offline", "--json", *words)
    assert done.status == 0, done.err
    [event] = [json.loads(line, parse_float=Decimal) for line in done.out.splitlines()]
    assert event["event"] == "estimate"
    assert datetime.fromisoformat(event["at"]).utcoffset() == timedelta(0)
    priced = [row for row in event["models"] if "problem" not in row]
    assert priced
    for row in priced:
        amounts = [row[name] for name in ("likely_usd", "at_most_usd", "without_batches_usd")]
        assert all(isinstance(amount, Decimal) and amount > 0 for amount in amounts)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_says_what_the_run_then_does_and_says(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    before = told(docmill, folder, "--recipe", recipe, "--offline")
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
        assert Decimal(str(own[name])) == Decimal(str(said[name]))
    assert before["batches"] == provider.batches()


def test_it_changes_nothing_and_needs_no_key(
    tmp_path: Path, docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    docmill.environment.pop("ANTHROPIC_API_KEY")
    out = tmp_path / "out"
    found = told(docmill, folder, "--out", out, "--recipe", recipe)
    assert (found["documents"], found["unsendable"]) == (7, 1)  # the photo
    assert (found["counted"], found["not_counted"]) == (0, "ANTHROPIC_API_KEY is not set")
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


def test_documents_that_can_not_be_sent_are_named_and_count_for_nothing(
    docmill: Docmill, folder: Path, recipe: Path
) -> None:
    small = recipe.read_text().replace(MODEL, "claude-haiku-4-5")
    recipe.write_text(small)
    before = told(docmill, folder, "--recipe", recipe, "--offline")
    recipe.write_text(small.replace("max_tokens", "split: never\nmax_tokens"))
    (folder / "legal" / "long.md").write_text("word " * 250_000)
    (folder / "tenk.pdf").write_bytes(files.pdf(*(f"Sheet {n}" for n in range(1, 111))))
    (folder / "photo2.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    after = told(docmill, folder, "--recipe", recipe, "--offline")
    assert (before["unsendable"], after["unsendable"]) == (1, 4)
    for name in ("documents", "requests", "bytes", "batches", "models"):
        assert after[name] == before[name], name
    done = docmill("estimate", folder, "--recipe", recipe, "--offline")
    assert (done.status, done.err) == (0, "")
    named = [line for line in done.out.splitlines() if line.startswith("can't be sent: ")]
    assert len(named) == 4
    assert any(line.startswith("can't be sent: tenk.pdf: it has 110 pages") for line in named)
    [long] = [line for line in named if "legal/long.md" in line]
    assert "split" in long
    for number in range(5):
        (folder / f"photo-{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    done = docmill("estimate", folder, "--recipe", recipe, "--offline")
    assert done.out.count("can't be sent: ") == 5
    assert "… and more that can't be sent" in done.out


def test_a_folder_with_a_file_that_can_not_be_sent_is_named_and_costs_nothing(
    docmill: Docmill, tmp_path: Path, recipe: Path
) -> None:
    recipe.write_text(recipe.read_text().replace("max_tokens", "documents: folder\nmax_tokens"))
    inside = tmp_path / "in" / "acme"
    inside.mkdir(parents=True)
    (inside / "a.md").write_text("word " * 100)
    with zipfile.ZipFile(inside / "big.zip", "w") as packed:
        packed.writestr("b.md", "word " * 60_000)
    found = told(docmill, tmp_path / "in", "--recipe", recipe, "--offline")
    own = found["models"][0]
    assert (found["documents"], found["unsendable"], own["input_tokens"]) == (0, 1, 0)
    assert Decimal(str(own["likely_usd"])) == Decimal(str(own["at_most_usd"])) == 0
    done = docmill("estimate", tmp_path / "in", "--recipe", recipe, "--offline")
    assert "can't be sent: acme: big.zip: it is a ZIP archive" in done.out


def test_tokens_are_counted_by_the_api_for_some_and_scaled_to_the_rest(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder = tmp_path / "many"
    for number in range(50):
        (folder / f"g{number % 3}").mkdir(parents=True, exist_ok=True)
        name = f"g{number % 3}/{number}.{'md' if number % 2 else 'txt'}"
        (folder / name).write_text("word " * (10 + 13 * number))
    found = told(docmill, folder, "--recipe", recipe)
    assert (found["counted"], found["documents"], found["not_counted"]) == (20, 50, None)
    assert provider.running.simulator.calls == {Call.COUNT_TOKENS: 20}
    low, high = found["input_tokens_low"], found["input_tokens_high"]
    assert low < found["models"][0]["input_tokens"] < high
    done = docmill("estimate", folder, "--recipe", recipe)
    assert "tokens in: counted by the API for 20 of 50 requests; from " in done.out
    assert f"another model than {MODEL} may count otherwise" in done.out
    docmill("run", folder, "--out", tmp_path / "out", "--recipe", recipe, *QUICK)
    used = summary(tmp_path / "out")["tokens"]["input"]
    assert low <= used <= high
    again = docmill("estimate", folder, "--out", tmp_path / "out", "--recipe", recipe)
    assert "50 documents reported already" in again.out


def test_a_few_are_counted_whole_and_what_the_run_uses_is_what_was_counted(
    tmp_path: Path, docmill: Docmill, folder: Path, recipe: Path
) -> None:
    (folder / "photo.png").unlink()
    found = told(docmill, folder, "--recipe", recipe)
    assert found["counted"] == found["documents"] == 7
    assert found["input_tokens_low"] == found["input_tokens_high"]
    docmill("run", folder, "--out", tmp_path / "out", "--recipe", recipe, *QUICK)
    used = summary(tmp_path / "out")["tokens"]["input"]
    assert found["models"][0]["input_tokens"] == used


@pytest.mark.parametrize(
    ("words", "fault", "why"),
    [
        (("--offline",), None, "--offline"),
        ((), Fault(call=Call.COUNT_TOKENS, status=404, times=None), "simulated (HTTP 404"),
        ((), Fault(call=Call.COUNT_TOKENS, cut=Cut.BEFORE, times=None), "no whole answer"),
        ((), Fault(call=Call.COUNT_TOKENS, status=401, times=None), "the key is refused"),
    ],
)
def test_where_the_api_does_not_count_the_estimate_goes_on_and_says_so(  # noqa: PLR0917
    docmill: Docmill,
    provider: Provider,
    folder: Path,
    recipe: Path,
    words: tuple[str, ...],
    fault: Fault | None,
    why: str,
) -> None:
    provider.running.simulator.faults.script += [fault] if fault else []
    done = docmill("estimate", folder, "--recipe", recipe, *words)
    assert (done.status, done.err) == (0, "")
    [line] = [line for line in done.out.splitlines() if line.startswith("tokens in: ")]
    assert line.startswith("tokens in: guessed at 3 bytes a token (")
    assert why in line
    assert provider.running.simulator.calls.total() <= (4 if fault else 0) + 8


def test_one_document_that_is_not_counted_leaves_the_others(
    docmill: Docmill, provider: Provider, folder: Path, recipe: Path
) -> None:
    provider.running.simulator.faults.script.append(Fault(call=Call.COUNT_TOKENS, status=400))
    assert told(docmill, folder, "--recipe", recipe)["counted"] == 6


@pytest.mark.parametrize("words", [("--offline",), ("--simulate",)])
def test_the_sdk_is_not_imported_where_nobody_is_asked(
    tmp_path: Path, folder: Path, recipe: Path, words: tuple[str, ...]
) -> None:
    given = ["run", str(folder), "--out", str(tmp_path / "out"), "--recipe", str(recipe)]
    code = (
        "import sys; from handlers.cli.main import cli\n"
        f"cli.main({[*given, '--dry-run', *words]!r}, standalone_mode=False)\n"
        "print('anthropic' in sys.modules)"
    )
    environment = {**os.environ, "ANTHROPIC_API_KEY": "k"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("False\n")
    assert words[0] in done.stdout


def test_how_long_earlier_batches_took_is_told(
    tmp_path: Path, docmill: Docmill, folder: Path, recipe: Path
) -> None:
    out = tmp_path / "out"
    docmill("run", folder, "--out", out, "--recipe", recipe, *QUICK)
    (folder / "new.txt").write_text("new")
    done = docmill("estimate", folder, "--out", out, "--recipe", recipe)
    assert "none takes more than 24 hours; this output's so far (3) took 0:00:00" in done.out


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


def test_a_run_takes_no_option_of_its_rehearsal(tmp_path: Path, docmill: Docmill) -> None:
    done = docmill("run", tmp_path, "--out", tmp_path / "out", "--offline")
    assert done.status == 2
    assert "--offline is for --dry-run" in done.said
