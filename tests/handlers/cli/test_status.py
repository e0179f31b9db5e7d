"""`docmill status`: what it says, and that it needs no more than to read."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from handlers.cli.options import Options
from handlers.cli.status import Standing, _as_json, _lines
from shared.adapters.simulator.core import SimulatorSettings
from shared.domain.batch import BatchStatus, Counts
from shared.domain.document import DocumentStatus
from shared.domain.ids import BatchId, JobName
from shared.domain.pause import Pause, PauseReason
from shared.domain.summary import Counted, summarize
from shared.wiring.laptop import open_store
from tests.domain.test_batch import NOW, batch
from tests.handlers.cli.command import (
    Docmill,
    Provider,
    line_with,
    obey_permissions,
    write_documents,
)
from tests.handlers.cli.jobs import job

RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n"
OPTIONS = Options(recipe_name="review.md", recipe_text=RECIPE, model="claude-sonnet-5")


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    """A run over five documents."""
    write_documents(tmp_path / "in", 5)
    (tmp_path / "in" / "_recipe.md").write_text(RECIPE)
    return ("run", tmp_path / "in", "--out", tmp_path / "out", "--poll-interval", "0.05")


def standing(**changes: object) -> Standing:
    found = {"summary": job(), "pause": None, "options": OPTIONS, "now": NOW + timedelta(hours=2)}
    return Standing(**(found | changes))  # type: ignore[arg-type]


def test_a_live_batch_shows_its_age_its_expiry_and_how_far_the_provider_is() -> None:
    live = batch(
        BatchStatus.IN_PROGRESS,
        id=BatchId("b" * 12),
        size=1000,
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
        counts=Counts(processing=400, succeeded=600),
    )
    summary = summarize(job=JobName("local"), documents={}, batches=[live], now=NOW)
    [_, line] = _lines(standing(summary=summary, now=NOW + timedelta(hours=2, seconds=3)))
    assert "1,000 requests" in line
    assert "400 processing when last looked at, 2:00:03 old, expires in 21:59:57" in line
    [_, line] = _lines(standing(summary=summary, now=NOW + timedelta(hours=25)))
    assert f"25:00:00 old, expired at {NOW:%H:%M:%S} UTC" in line
    told = _as_json(standing(summary=summary))["batches"]
    assert isinstance(told, list)
    assert told[0]["processing"] == 400
    assert told[0]["expires_at"] == NOW + timedelta(hours=24)


def test_live_batches_come_first_and_of_many_the_newest_are_shown() -> None:
    batches = [
        batch(BatchStatus.COLLECTED, id=BatchId(f"done{n:08}"), planned_at=NOW, collected_at=NOW)
        for n in range(1600)
    ] + [batch(BatchStatus.IN_PROGRESS, id=BatchId("live"), planned_at=NOW - timedelta(days=1))]
    summary = summarize(job=JobName("local"), documents={}, batches=batches, now=NOW)
    lines = _lines(standing(summary=summary))
    assert lines[1].startswith("batch live in_progress")
    assert lines[-1] == "… and 1,581 more batches, see `docmill status --json`"
    assert len(lines) == 22


def test_recipe_model_and_pause_are_told() -> None:
    until = datetime(2026, 11, 25, 14, 0, 0, 987654, tzinfo=UTC)
    pause = Pause(until=until, reason=PauseReason.RATE_LIMIT, message="slow down")
    found = standing(pause=pause, now=until - timedelta(minutes=3))
    lines = _lines(found)
    assert lines[0] == "recipe review.md, claude-sonnet-5"
    assert lines[-1] == "submitting waits until 14:00:00 UTC: slow down"
    told = _as_json(found)
    assert (told["recipe"], told["model"]) == ("review.md", "claude-sonnet-5")
    assert told["pause"] == {"until": until, "reason": "rate_limit", "message": "slow down"}
    assert told["cost_usd"] == Decimal("12.5")
    assert _as_json(standing())["pause"] is None


def test_a_recipe_that_can_not_be_read_any_more_keeps_nothing_from_being_told() -> None:
    broken = Options(recipe_name="review.md", recipe_text="---\nmodle: x\n---\n")
    assert _lines(standing(options=broken))[0] == "recipe review.md"
    assert _as_json(standing(options=broken))["model"] is None
    assert _lines(standing(options=None))[1].startswith("in batch: ")


def test_what_only_a_person_ends_is_stopped_and_waits_for_no_time() -> None:
    pause = Pause(until=NOW, reason=PauseReason.ACCESS, message="the key is refused")
    assert _lines(standing(pause=pause))[-1] == "submitting is stopped: the key is refused"


@pytest.mark.parametrize("documents", [{}, {"": {DocumentStatus.FAILED: 2}}])
def test_an_output_where_no_run_went_on_is_not_done(documents: Counted) -> None:
    summary = summarize(job=JobName("local"), documents=documents, batches=[], now=NOW)
    found = standing(summary=summary, options=None)
    assert found.exit_status == 3
    assert _lines(found)[0].endswith("; run it again")


def test_a_run_that_was_killed_before_it_took_anything_in_is_to_be_run_again(
    tmp_path: Path, docmill: Docmill, command: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    (out / ".docmill").mkdir(parents=True)
    open_store(out).close()
    done = docmill("status", out)
    assert done.status == 3
    assert done.out.startswith("nothing was taken in yet; run it again\n")
    assert docmill("status", out, "--json").status == 3
    assert docmill(*command).status == 0
    assert docmill("status", out).status == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The output on a disk of its own, which only root can have."""
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "docmill-test", str(out)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield out
    subprocess.run(["umount", str(out)], check=True)


@pytest.mark.parametrize("killed", [False, True])
def test_an_output_on_a_disk_that_is_read_only_can_be_asked(
    docmill: Docmill, provider: Provider, disk: Path, command: tuple[object, ...], killed: bool
) -> None:
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    if killed:
        with docmill.start(*command) as process:
            line_with(process, "submitted as")
            process.kill()
            process.wait(30)
    else:
        assert docmill(*command, "--no-wait").status == 3
    assert (disk / ".docmill" / "state.db-wal").exists() == killed
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = docmill("status", disk)
    assert (done.status, done.err) == (3, "")
    assert "in batch: 5" in done.out
    assert "in_progress: 5 requests, msgbatch_" in done.out


def test_who_may_only_read_an_output_can_ask(
    tmp_path: Path, docmill: Docmill, command: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    assert docmill(*command).status == 0
    folders = (out / ".docmill", out)
    for folder in folders:
        folder.chmod(0o555)
    done = docmill.alone("status", out, before=obey_permissions)
    (out / ".docmill").chmod(0o000)
    locked = docmill.alone("status", out, before=obey_permissions)
    for folder in folders:
        folder.chmod(0o755)
    assert (done.status, done.err) == (0, "")
    assert "reported: 5" in done.out
    assert locked.status == 2
    assert "Permission denied" in locked.said
