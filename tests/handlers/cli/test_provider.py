"""Batches that are under way are asked for where they are, and by whom they are visible to."""

import json
from pathlib import Path

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from shared.wiring.laptop import JOB, open_store
from tests.handlers.cli.command import Docmill, Provider, write_documents

RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n"
CANARY = "canary-0a1b2c3d4e5f"
ELSEWHERE = f"http://127.0.0.1:9/{CANARY}"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def command(tmp_path: Path, out: Path) -> tuple[object, ...]:
    """A run over two documents."""
    write_documents(tmp_path / "in", 2)
    (tmp_path / "in" / "_recipe.md").write_text(RECIPE)
    return ("run", tmp_path / "in", "--out", out, "--poll-interval", "0.05")


@pytest.fixture
def under_way(docmill: Docmill, provider: Provider, command: tuple[object, ...]) -> None:
    """A batch that takes as long as the test wants."""
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    assert docmill(*command, "--no-wait").status == 3


@pytest.mark.usefixtures("under_way")
def test_batches_under_way_are_not_asked_for_at_another_address(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    for words in (command, ("retry", out), ("cancel", out)):
        for address in (ELSEWHERE, ""):
            done = docmill(*words, ANTHROPIC_BASE_URL=address)
            assert (done.status, done.out) == (2, "")
            assert "under way at another address" in done.said
            assert CANARY not in done.said
    same = f"{provider.running.base_url}/"
    assert docmill(*command, "--no-wait", ANTHROPIC_BASE_URL=same).status == 3
    provider.running.clock.advance(3600)
    assert docmill(*command).status == 0
    assert provider.batches() == 1


@pytest.mark.usefixtures("under_way")
def test_another_address_is_taken_once_the_batches_are_canceled(
    out: Path, docmill: Docmill, provider: Provider
) -> None:
    assert docmill("cancel", out).status == 1
    other = provider.running.base_url.replace("127.0.0.1", "localhost")
    assert docmill("retry", out, "--no-wait", ANTHROPIC_BASE_URL=other).status == 3
    assert docmill("retry", out, "--no-wait").status == 2


def test_a_batch_that_was_never_sent_may_go_to_another_address(
    docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    wrong = f"{provider.running.base_url}/{CANARY}"
    assert docmill(*command, ANTHROPIC_BASE_URL=wrong).status == 2
    assert docmill(*command).status == 0
    assert provider.batches() == 1


def test_a_batch_in_doubt_stays_with_its_address(
    docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.faults.script.append(
        Fault(call=Call.CREATE, status=500, after_effect=True)
    )
    assert docmill(*command, "--no-wait", DOCMILL_DOUBT_GRACE_S="600").status == 3
    assert "another address" in docmill(*command, ANTHROPIC_BASE_URL=ELSEWHERE).said
    assert docmill(*command).status == 0
    assert provider.batches() == 1


@pytest.mark.usefixtures("under_way")
def test_another_key_is_a_note_as_long_as_batches_are_under_way(
    out: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    done = docmill(*command, "--no-wait", "--json", ANTHROPIC_API_KEY=CANARY)
    assert done.status == 3
    assert "visible to keys of the same workspace only" in done.said
    assert docmill("retry", out, "--no-wait", "--json", ANTHROPIC_API_KEY=CANARY).err == ""
    provider.running.clock.advance(3600)
    done = docmill("cancel", out, "--json")
    assert "keys of the same workspace" in done.said
    assert docmill(*command, "--json").err == ""


def test_neither_the_key_nor_the_address_can_be_read_in_an_output(
    tmp_path: Path, out: Path, docmill: Docmill, command: tuple[object, ...]
) -> None:
    environment = {"ANTHROPIC_API_KEY": f"{CANARY}-key", "ANTHROPIC_BASE_URL": ELSEWHERE}
    for words in ((*command, "--no-wait"), ("retry", out, "--no-wait", "--json"), ("status", out)):
        done = docmill(*words, **environment)
        assert done.status == 3
        assert CANARY not in done.out + done.err
    store = open_store(out)
    job = store.job(JOB)
    store.close()
    assert job is not None
    kept = json.loads(job.settings["provider"])
    lengths = {name: len(value) for name, value in kept.items()}
    assert lengths == {"salt": 32, "address": 16, "key": 16}
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()


def test_the_simulator_needs_no_address_and_none_is_kept(
    docmill: Docmill, command: tuple[object, ...]
) -> None:
    assert docmill(*command, "--simulate", "--no-wait").status == 3
    done = docmill(*command, "--simulate", ANTHROPIC_BASE_URL=ELSEWHERE, ANTHROPIC_API_KEY=CANARY)
    assert done.status == 0
    assert "another" not in done.out + done.err
