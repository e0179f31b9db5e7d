"""A simulator that was stopped takes up where it was."""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic
import pytest

from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator.server import Clock, Running, running_simulator
from shared.adapters.simulator.skin import Skin
from shared.adapters.simulator.state import StateError
from tests.adapters.simulator.core_client import rows

PROGRAM = """
import sys
from pathlib import Path
from shared.adapters.simulator.server import main_serve
main_serve(port=0, state_dir=Path(sys.argv[1]), seed=1, duration_s=60,
           until_stdin_closes=True, announce=lambda url: print(url, flush=True))
"""


@contextmanager
def session(folder: Path) -> Iterator[tuple[Running, anthropic.Anthropic]]:
    settings = SimulatorSettings(duration_s=60)
    with (
        running_simulator(seed=1, settings=settings, state=folder) as running,
        anthropic.Anthropic(
            api_key="k", base_url=running.base_url, max_retries=0, timeout=20
        ) as client,
    ):
        yield running, client


def create(client: anthropic.Anthropic) -> str:
    return client.messages.batches.create(requests=rows(20)).id  # type: ignore[arg-type]


@contextmanager
def program(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", anthropic.Anthropic]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with anthropic.Anthropic(
                api_key="k", base_url=url, max_retries=0, timeout=20
            ) as client:
                yield process, client
        finally:
            process.kill()


def test_batches_cancels_and_deletes_outlive_a_restart(tmp_path: Path) -> None:
    with session(tmp_path) as (running, client):
        kept, canceled, deleted = create(client), create(client), create(client)
        client.messages.batches.cancel(canceled)
        running.simulator.faults.script.append(Fault(call=Call.CREATE, cut=Cut.AFTER))
        with pytest.raises(anthropic.APIConnectionError):
            create(client)
        client.messages.batches.cancel(deleted)
        running.clock.advance(1)
        client.messages.batches.delete(deleted)
        before = client.messages.batches.retrieve(kept)
    with session(tmp_path) as (running, client):
        assert client.messages.batches.retrieve(kept).created_at == before.created_at
        assert len(list(client.messages.batches.list())) == 3
        running.clock.advance(61)
        assert client.messages.batches.retrieve(canceled).request_counts.canceled > 0
        assert len(list(client.messages.batches.results(kept))) == 20
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(deleted)


def test_the_id_of_a_deleted_batch_is_not_given_again(tmp_path: Path) -> None:
    with session(tmp_path) as (running, client):
        gone = create(client)
        running.clock.advance(61)
        client.messages.batches.delete(gone)
    with session(tmp_path) as (_, client):
        assert create(client) != gone


def test_time_that_was_skipped_stays_skipped(tmp_path: Path) -> None:
    with session(tmp_path) as (running, client):
        batch = create(client)
        url = f"{running.base_url}/_simulator/clock"
        with urllib.request.urlopen(url, data=b'{"advance_s": 61}', timeout=10) as answer:
            assert answer.status == 200
    with session(tmp_path) as (_, client):
        assert client.messages.batches.retrieve(batch).processing_status == "ended"


@pytest.mark.parametrize("name", ["msgbatch_1.batch.json", "simulator.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"half')
    with pytest.raises(StateError, match=name):
        Skin(Simulator(), Clock(), tmp_path)


def test_a_file_half_written_is_not_taken_for_a_batch(tmp_path: Path) -> None:
    (tmp_path / "msgbatch_1.part").write_text('{"half')
    simulator = Simulator()
    Skin(simulator, Clock(), tmp_path)
    assert simulator.batches == {}


def test_what_cannot_be_saved_is_not_said_to_be_done(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with session(folder) as (_, client):
        shutil.rmtree(folder)
        with pytest.raises(anthropic.InternalServerError, match="can't save its state"):
            create(client)


def test_the_program_killed_outright_has_lost_nothing_it_answered_for(tmp_path: Path) -> None:
    with program(tmp_path) as (process, client):
        batch = create(client)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with program(tmp_path) as (_, client):
        assert client.messages.batches.retrieve(batch).request_counts.processing == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_stops_cleanly_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    with program(tmp_path) as (process, _):
        process.send_signal(number)
        assert process.wait(15) == 0


def test_the_program_ends_with_its_parent(tmp_path: Path) -> None:
    with program(tmp_path) as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(15) == 0


def test_a_saved_batch_of_before_these_fields_is_still_read() -> None:
    simulator = Simulator()
    simulator.load(
        json.dumps(
            {
                "id": "msgbatch_old",
                "number": 4,
                "created_at": "2026-11-24T10:00:00Z",
                "duration": "PT60S",
                "rows": [],
                "canceled_at": None,
            }
        ).encode()
    )
    assert simulator.created == 4
