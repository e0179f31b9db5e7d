"""Stopped, interrupted and killed at any moment: nothing is lost or requested twice."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from tests.handlers.cli.command import (
    PATIENCE_S,
    Docmill,
    Provider,
    ended,
    failures,
    line_with,
    reports,
    summary,
    until,
    write_documents,
)

COUNT = 40
MANY = 900


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(
        "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\nReview it.\n\n{{ document.text }}\n"
    )
    return found


@pytest.fixture
def command(tmp_path: Path, recipe: Path) -> tuple[object, ...]:
    """A run over forty documents."""
    write_documents(tmp_path / "in", COUNT)
    where = ("run", tmp_path / "in", "--out", tmp_path / "out", "--recipe", recipe)
    return (*where, "--poll-interval", "0.05")


def check_whole(tmp_path: Path, provider: Provider, count: int = COUNT) -> None:
    """Every document is reported, and is in exactly one request that was ever accepted."""
    out = tmp_path / "out"
    assert reports(out) == {f"doc-{number:03}.txt.md" for number in range(count)}
    assert failures(out) == []
    assert summary(out)["documents"]["reported"] == count
    assert provider.requested() == {f"doc-{number:03}-txt": 1 for number in range(count)}
    leftovers = [p for p in out.rglob(".docmill-*") if p.is_file()]
    assert leftovers == [], "files of writes that were cut short"


def test_no_wait_leaves_with_three_and_the_same_command_collects(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    left = docmill(*command, "--no-wait")
    assert left.status == 3
    assert f"{COUNT} still open" in left.out.splitlines()[-1]
    assert docmill("status", tmp_path / "out").status == 3
    assert docmill(*command).status == 0
    check_whole(tmp_path, provider)


def test_ctrl_c_leaves_at_once_and_only_one_run_at_a_time_may_work(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    provider.running.simulator.settings = type(provider.running.simulator.settings)(duration_s=600)
    with docmill.start(*command) as process:
        line_with(process, "submitted as")
        second = docmill(*command)
        assert second.status == 2
        assert "another docmill works on" in second.said
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.status == 130
    assert provider.in_progress() == 1, "it left although a batch is under way"
    assert "batches go on at the provider" in done.err
    assert "the same command resumes" in done.err
    provider.running.clock.advance(700)
    assert docmill(*command).status == 0
    check_whole(tmp_path, provider)


def test_ctrl_c_does_not_wait_for_an_answer(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    with docmill.start(*command) as process, provider.holding(Call.CREATE) as held:
        assert held.taken.wait(PATIENCE_S)
        process.send_signal(signal.SIGINT)
        done = ended(process)
        assert not held.answered.is_set(), "it left although there is no answer yet"
    assert done.status == 130
    assert docmill(*command).status == 0
    check_whole(tmp_path, provider)


@pytest.mark.parametrize("call", [Call.CREATE, Call.RETRIEVE, Call.RESULTS])
def test_killed_while_it_waits_for_an_answer(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...], call: Call
) -> None:
    with provider.holding(call) as held, docmill.start(*command) as process:
        assert held.taken.wait(PATIENCE_S)
        process.kill()
        process.wait(PATIENCE_S)
    assert docmill(*command).status == 0
    check_whole(tmp_path, provider)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_killed_while_a_batch_is_in_doubt(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...], cut: Cut
) -> None:
    provider.running.simulator.faults.script.append(Fault(call=Call.CREATE, cut=cut))
    with docmill.start(*command, DOCMILL_DOUBT_GRACE_S="60") as process:
        line_with(process, "no answer for batch")
        process.kill()
        process.wait(PATIENCE_S)
    provider.running.clock.advance(1)
    done = docmill(*command, DOCMILL_DOUBT_GRACE_S="0.3")
    assert done.status == 0
    check_whole(tmp_path, provider)


def _state_is_there(out: Path) -> bool:
    return (out / ".docmill" / "state.db-wal").exists()


def _first_report_is_there(out: Path) -> bool:
    return next(out.glob("*.md"), None) is not None


def _some_reports_are_there(out: Path) -> bool:
    return len(list(out.glob("*.md"))) > MANY // 2


@pytest.mark.parametrize(
    "moment", [_state_is_there, _first_report_is_there, _some_reports_are_there]
)
def test_killed_in_the_midst_of_its_own_work(
    tmp_path: Path,
    docmill: Docmill,
    provider: Provider,
    recipe: Path,
    moment: Callable[[Path], bool],
) -> None:
    out = tmp_path / "out"
    write_documents(tmp_path / "in", MANY)
    command = ("run", tmp_path / "in", "--out", out, "--recipe", recipe, "--poll-interval", "0.05")
    with docmill.start(*command) as process:
        until(lambda: moment(out))
        process.kill()
        process.wait(PATIENCE_S)
    assert docmill(*command).status == 0
    check_whole(tmp_path, provider, MANY)


def test_killed_again_and_again(
    tmp_path: Path, docmill: Docmill, provider: Provider, command: tuple[object, ...]
) -> None:
    """Small batches and one kill per call of `create`, until nothing is left to kill."""
    for _ in range(2):
        with (
            provider.holding(Call.CREATE) as held,
            docmill.start(*command, DOCMILL_MAX_BATCH_REQUESTS="15") as process,
        ):
            assert held.taken.wait(PATIENCE_S)
            process.kill()
            process.wait(PATIENCE_S)
    assert docmill(*command, DOCMILL_MAX_BATCH_REQUESTS="15").status == 0
    check_whole(tmp_path, provider)
    assert provider.batches() == 3
