"""Real processes: full disks, stops longer than a lease, several at once."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.disk import Disk, SmallFiles, small_disk
from tests.faults.documents import GROUPS, RECIPE, write
from tests.faults.kills import Campaign, check_paid, check_whole
from tests.faults.provider import Served, served
from tests.faults.short_lease import LEASE_S
from tests.faults.watched import MOMENTS, watched
from tests.handlers.cli.command import Docmill, ended

_ENVIRONMENT = {"ANTHROPIC_API_KEY": "test", "DOCMILL_DOUBT_GRACE_S": "0.3"}
_FULL_AT = ("lock taken", "create taken", "report begun")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "provider", output_bytes=60_000) as found:
        found.pace(before_s=0.05, answer_s=0.05, line_s=0.002, duration_s=0.3)
        yield found


@pytest.fixture
def docmill(provider: Served) -> Docmill:
    return Docmill({**_ENVIRONMENT, "ANTHROPIC_BASE_URL": provider.address})


@pytest.fixture
def work(tmp_path: Path) -> Campaign:
    """Forty documents in five groups."""
    (tmp_path / "recipe.md").write_text(RECIPE)
    found = Campaign(seed=1, folder=tmp_path)
    for number in range(40):
        path = f"{GROUPS[number % len(GROUPS)]}/doc {number:04}.txt"
        found.versions[path] = 1
        write(tmp_path / "in", path, 1, size=3_000)
    return found


@pytest.mark.parametrize("with_disk", [True, False])
def test_a_disk_that_is_full_for_a_while_costs_a_restart_and_nothing_else(
    docmill: Docmill, provider: Served, work: Campaign, with_disk: bool
) -> None:
    moments = [m for m in MOMENTS if m.name in _FULL_AT[: 3 if with_disk else 1]]
    draw = random.Random(1)
    with ExitStack() as stack:
        disk: Disk = stack.enter_context(small_disk(work.out)) if with_disk else SmallFiles()
        for moment in moments:
            work.drop(draw)
            with watched(docmill, provider, work.out, work.words) as run:
                assert moment.come(run, draw), run.events[-3:]
                disk.fill(run.process.pid)
                assert run.process.wait(20) == 2, (moment.name, run.events[-3:])
                assert run.process.stderr is not None
                [said] = run.process.stderr.read().splitlines()
            assert said.startswith("docmill: "), said
            assert "again" in said or "state.db" in said, said
            disk.empty(run.process.pid)
            check_paid(work, provider)
        assert docmill(*work.words).status == 0
        check_whole(work, provider)


def test_of_processes_started_at_once_one_works_and_the_others_say_why_not(
    docmill: Docmill, provider: Served, work: Campaign
) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(docmill.start(*work.words)) for _ in range(4)]
        done = [ended(process) for process in processes]
    assert sorted(each.status for each in done) == [0, 2, 2, 2]
    for each in done:
        if each.status == 2:
            assert each.said == (
                f"another docmill works on {work.out}; wait for it, or stop it first"
            )
    check_paid(work, provider)
    check_whole(work, provider)


def test_a_run_stopped_for_longer_than_its_lease_goes_on_as_if_nothing_were(
    provider: Served, work: Campaign
) -> None:
    environment = {**_ENVIRONMENT, "ANTHROPIC_BASE_URL": provider.address}
    docmill = Docmill(environment, "tests.faults.short_lease")
    stops = [m for m in MOMENTS if m.name in {"create taken", "first look", "report begun"}]
    with watched(docmill, provider, work.out, work.words) as run:
        for moment in stops:
            assert moment.come(run, random.Random(1)), run.events[-3:]
            run.process.send_signal(signal.SIGSTOP)
            time.sleep(2 * LEASE_S)
            other = docmill.alone(*work.words)
            assert other.status == 2
            assert other.said.startswith("another docmill works on")
            run.process.send_signal(signal.SIGCONT)
        assert run.until(lambda: run.saw("finished")), run.events[-3:]
        assert run.process.wait(10) == 0
    check_paid(work, provider)
    check_whole(work, provider)
