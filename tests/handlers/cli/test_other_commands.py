"""The commands beside `run`, and that the README says what `--help` says."""

import json
import re
import signal
import socket
import urllib.request
from datetime import timedelta
from pathlib import Path

import click
import pytest

from handlers.cli.main import cli
from shared.adapters.builtin import builtin_recipes
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Faults
from shared.adapters.simulator.server import running_simulator
from tests.handlers.cli.command import (
    ROOT,
    Docmill,
    Provider,
    ended,
    failures,
    reports,
    summary,
    write_documents,
)


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    """A run over twenty documents."""
    recipe = tmp_path / "review.md"
    recipe.write_text("---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n")
    write_documents(tmp_path / "in", 20)
    where = ("run", tmp_path / "in", "--out", tmp_path / "out", "--recipe", recipe)
    return (*where, "--poll-interval", "0.05")


def test_status_shows_counts_and_batches_and_changes_nothing(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    assert "holds no docmill state" in docmill("status", out).said
    docmill(*command, "--no-wait")
    calls = provider.running.simulator.calls.total()
    shown = docmill("status", out)
    assert (shown.status, shown.err) == (3, "")
    assert "in batch: 20" in shown.out
    assert "in_progress: 20 requests, msgbatch_" in shown.out
    told = docmill("status", out, "--json")
    assert told.status == 3
    [found] = told.events
    assert found["documents"]["in_batch"] == 20
    assert provider.running.simulator.calls.total() == calls
    docmill(*command)
    assert docmill("status", out).status == 0


def test_retry_takes_up_what_may_succeed_and_all_takes_up_the_rest(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    faults = provider.running.simulator.faults
    faults.expire_rate = 1.0
    assert docmill(*command, "--max-attempts", "1").status == 1
    assert {line["type"] for line in failures(out)} == {"expired"}
    assert all(line["retryable"] and line["attempts"] == 1 for line in failures(out))
    provider.running.simulator.faults = Faults(error_rate=1.0, error_type="invalid_request_error")
    done = docmill("retry", out)
    assert done.status == 1
    assert "20 failed documents to be tried again" in done.out
    assert {line["type"] for line in failures(out)} == {"invalid_request_error"}
    assert not any(line["retryable"] for line in failures(out))
    provider.running.simulator.faults = Faults()
    before = provider.batches()
    assert docmill("retry", out).status == 1
    assert provider.batches() == before
    last = docmill("retry", out, "--all", "--json")
    assert last.status == 0
    assert [e["documents"] for e in last.events if e["event"] == "requeued"] == [20]
    assert failures(out) == []
    assert len(reports(out)) == 20


def test_cancel_collects_what_is_finished_and_retry_takes_up_the_rest(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    assert docmill(*command, "--no-wait").status == 3
    provider.running.clock.advance(300)
    done = docmill("cancel", out)
    assert done.status == 1
    assert "1 batch asked to stop" in done.out
    finished = len(reports(out))
    assert 0 < finished < 20
    assert summary(out)["documents"]["failed"] == 20 - finished
    assert {line["type"] for line in failures(out)} == {"canceled"}
    provider.running.simulator.settings = SimulatorSettings(duration_s=0.1)
    assert docmill("retry", out).status == 0
    assert len(reports(out)) == 20
    assert sum(provider.requested().values()) == 20 + (20 - finished)


@pytest.mark.parametrize("words", [("retry",), ("retry", "--all"), ("cancel",), ("status",)])
def test_without_a_run_there_is_nothing_to_work_on(
    tmp_path: Path, docmill: Docmill, words: tuple[str, ...]
) -> None:
    done = docmill(*words, tmp_path / "out")
    assert done.status == 2
    assert "start with `docmill run INPUT --out" in done.said
    assert not (tmp_path / "out").exists()


def test_recipes_lists_and_shows() -> None:
    docmill = Docmill({})
    listed = docmill("recipes")
    assert (listed.status, listed.err) == (0, "")
    assert "project-analysis  claude-opus-4-6    A structured assessment" in listed.out
    assert [line.split()[0] for line in listed.out.splitlines()] == list(builtin_recipes())
    assert docmill("recipes", "list").out == listed.out
    shown = docmill("recipes", "show", "project-analysis")
    assert shown.out == (ROOT / "shared/recipes/project-analysis.md").read_text()
    wrong = docmill("recipes", "show", "nothing\n")
    assert wrong.status == 2
    assert "there are: business-report, classification, " in wrong.said


def test_simulate_serves_until_it_is_interrupted() -> None:
    with Docmill({}).start("simulate", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        request = urllib.request.Request(
            url + "/v1/messages/batches",
            headers={"x-api-key": "any", "anthropic-version": "2023-06-01"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["data"] == []
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert (done.status, done.err) == (0, "")


def test_simulate_says_that_a_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = Docmill({})("simulate", "--port", taken.getsockname()[1])
    assert done.status == 2
    assert "can't be used" in done.said


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_simulate_says_that_its_state_is_no_folder(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("")
    state = tmp_path / "file" / inside
    done = Docmill({})("simulate", "--port", "0", "--state", state)
    assert done.status == 2
    assert f"--state {state} can't be used" in done.said


def test_the_controls_of_the_simulator_are_where_its_help_says() -> None:
    told = " ".join(Docmill({})("simulate", "--help").out.split())
    controls = re.findall(r"/_simulator/\w+", told)
    [faults, advance] = re.findall(r"\{.*?\}", told)
    with running_simulator() as running:
        for path, body in zip(controls, (faults, advance), strict=True):
            request = urllib.request.Request(running.base_url + path, data=body.encode())
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        assert running.simulator.faults.error_rate == 0.1
        assert running.clock.ahead == timedelta(seconds=3600)


def test_cancel_has_its_own_words_for_not_waiting() -> None:
    told = Docmill({})("cancel", "--help").out
    assert "Submit" not in told
    assert "leave before batches" in told


def test_without_a_command_the_help_is_shown_as_it_is() -> None:
    done = Docmill({})()
    assert done.status == 2
    assert done.err.startswith("Usage: ")


def _options(name: str) -> set[str]:
    return {
        flag
        for parameter in cli.commands[name].params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for flag in parameter.opts
    }


def test_the_readme_lists_exactly_the_options_and_commands_there_are() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = set(re.findall(r"^\| `(--[a-z-]+)", readme, re.MULTILINE))
    assert listed == _options("run") - {"--out"}
    help_text = Docmill({})("run", "--help").out
    for option in listed | {"--out"}:
        assert re.search(rf"^  {option}\b", help_text, re.MULTILINE), option
    page = (ROOT / "infra" / "README.md").read_text()
    commands = set(re.findall(r"^\| `docmill ([a-z]+)", readme + page, re.MULTILINE))
    assert commands == set(cli.commands)
