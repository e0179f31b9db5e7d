"""What a name or the provider says never steers the terminal it is shown on."""

import re
from pathlib import Path

import pytest

from handlers.cli.wording import SENTENCES, sentence
from shared.adapters.simulator.faults import Call, Fault
from tests.handlers.cli.command import Docmill, Provider, line_with, reports

ATTACK = "\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m\u202egpj\u2066\u2028\x7fend"
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n"


def names() -> list[str]:
    return [f"{ATTACK}.md", "a\nb.md", "good.md", f"folder{ATTACK}/x.md", "[red]markup[/red].md"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents with names that steer, and a recipe beside them."""
    found = tmp_path / "in"
    for name in names():
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).write_text(f"text of {len(name)}")
    (found / "_recipe.md").write_text(RECIPE)
    return found


def run(docmill: Docmill, folder: Path, *more: str) -> tuple[int, str, str]:
    out = folder.parent / "out"
    done = docmill("run", folder, "--out", out, "--poll-interval", "0.05", "--yes", *more)
    status = docmill("status", out)
    return done.status, done.out + status.out, done.err + status.err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_names_of_documents_and_folders_steer_nothing(
    docmill: Docmill, folder: Path, more: tuple[str, ...]
) -> None:
    code, out, err = run(docmill, folder, *more)
    assert code == 1
    assert not STEERS.search(out + err)
    assert reports(folder.parent / "out") == {"good.md.md", "[red]markup[/red].md.md"}
    assert "markup" in out or more or "good" in out or "of 5 documents" in out


@pytest.mark.parametrize(
    ("call", "status"),
    [
        *((Call.CREATE, status) for status in (400, 401, 403, 413, 500)),
        *((Call.RETRIEVE, 400), (Call.RESULTS, 404)),
    ],
)
def test_what_the_provider_answers_steers_nothing(
    docmill: Docmill, provider: Provider, folder: Path, call: Call, status: int
) -> None:
    provider.running.simulator.faults.script.append(
        Fault(call=call, status=status, message=ATTACK, error_type=ATTACK, times=1, retry_after="0")
    )
    code, out, err = run(docmill, folder)
    assert code in (0, 1, 2, 3)
    assert not STEERS.search(out + err)


@pytest.mark.parametrize("kind", ["invalid_request_error", ATTACK])
def test_what_a_row_says_steers_nothing(
    docmill: Docmill, provider: Provider, folder: Path, kind: str
) -> None:
    faults = provider.running.simulator.faults
    faults.error_rate, faults.error_type, faults.error_message = 1.0, kind, ATTACK
    code, out, err = run(docmill, folder)
    assert code == 1
    assert "failed: good.md: \\x1b[2J" in out
    assert not STEERS.search(out + err)


def test_what_holds_the_job_steers_nothing(
    docmill: Docmill, provider: Provider, folder: Path
) -> None:
    faults = provider.running.simulator.faults
    faults.error_rate, faults.error_type = 1.0, "invalid_request_error"
    faults.error_message = f"Your credit balance is too low {ATTACK}"
    out = folder.parent / "out"
    words = ("run", folder, "--out", out, "--poll-interval", "0.05")
    with docmill.start(*words) as process:
        line = line_with(process, "submitting waits")
    told = docmill("status", out).out
    for text in (line, told):
        assert "balance is too low \\x1b[2J" in text
        assert not STEERS.search(text)


@pytest.mark.parametrize("event", sorted(SENTENCES))
def test_no_fact_of_any_event_steers(event: str) -> None:
    facts = dict.fromkeys(re.findall(r"{(\w+)", SENTENCES[event]), ATTACK)
    told = sentence(event, dict(facts))
    assert told is not None
    assert not STEERS.search(told)
    assert not facts or "end" in told


@pytest.mark.parametrize("option", ["--model", "--recipe", "--group-by"])
def test_wrong_words_are_repeated_without_steering(
    docmill: Docmill, folder: Path, option: str
) -> None:
    code, out, err = run(docmill, folder, option, ATTACK)
    assert code in (1, 2)
    assert not STEERS.search(out + err)


@pytest.mark.parametrize("bad", ["recipe", "out", "input"])
def test_paths_that_steer_are_shown_harmlessly(docmill: Docmill, folder: Path, bad: str) -> None:
    place = folder.parent / f"x{ATTACK}"
    if bad == "recipe":
        (folder / "_recipe.md").write_text(f"---\nmodel: m\n{ATTACK!r}: 1\n---\nx")
    done = docmill(
        "run",
        place if bad == "input" else folder,
        "--out",
        place if bad == "out" else folder.parent / "out",
        "--poll-interval",
        "0.05",
    )
    assert done.status in (1, 2)
    assert not STEERS.search(done.out + done.err)
