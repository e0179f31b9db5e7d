"""A submit that is killed in the middle of its claims, on a DynamoDB by other hands than moto's."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from handlers import submit
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.adapters.conftest import second_dynamo as second_dynamo  # noqa: PLC0414 - a fixture
from tests.adapters.conftest import second_dynamo_wanted
from tests.faults.cloud import batches, check_whole, pass_leases
from tests.faults.functions import Functions
from tests.handlers.aws_home import JOB, Cloud, cloud
from tests.stack.ministack import Ministack

pytestmark = second_dynamo_wanted

_PATIENCE_S = 580.0
ROWS = int(os.environ.get("DOCMILL_CLAIMS", "2000"))
"""Documents of the batch; 20,000 take 4 minutes."""


@pytest.fixture(scope="module")
def small_answers() -> Iterator[Running]:
    with running_simulator(seed=3, settings=SimulatorSettings(duration_s=0.2)) as running:
        yield running


@pytest.fixture
def aws(
    second_dynamo: Ministack, small_answers: Running, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    monkeypatch.setenv("DOCMILL_DOUBT_GRACE_S", "0.2")
    with cloud(second_dynamo.url, small_answers) as found:
        yield found


def _claimed(*rows: int) -> int:
    """How many of these rows are in a batch; of all without any."""
    if rows:
        paths = [_path(row) for row in rows]
        found = home().store.documents(JobName(JOB), paths).values()
        return sum(each.status is DocumentStatus.IN_BATCH for each in found)
    counted = home().store.count(JobName(JOB)).values()
    return sum(each.get(DocumentStatus.IN_BATCH, 0) for each in counted)


def _path(row: int) -> str:
    return f"row-{row:06}"


def test_a_batch_killed_in_the_middle_of_its_claims_is_claimed_whole_and_sent_once(
    aws: Cloud, host: Functions
) -> None:
    rows = "".join(f'{{"id": "{_path(n)}", "text": "Row {n}"}}\n' for n in range(ROWS))
    aws.upload({f"{JOB}/manifest.jsonl": rows.encode(), f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []

    cuts: list[int] = []
    for reached in (0, ROWS // 3):
        invoked = host.begin(submit, {}, timeout_s=580)
        end = time.monotonic() + _PATIENCE_S
        while not _claimed(reached):
            assert time.monotonic() < end
        invoked.send(signal.SIGKILL)
        cuts.append(_claimed())
        assert [each.status for each in batches(*BatchStatus)] == [BatchStatus.PLANNED]
        pass_leases()
    assert 0 < cuts[0] < cuts[1] < ROWS, "some are claimed, and some are not"
    assert aws.paid() == []

    sent = host.begin(submit, {}, timeout_s=580).wait(_PATIENCE_S)
    assert (sent["requests"], sent["in_doubt"], sent["refused"]) == (ROWS, 0, 0)
    assert len(batches(*BatchStatus)) == sent["batches"], "none was planned anew"
    check_whole(aws, {_path(n): b"" for n in range(ROWS)}, seconds=_PATIENCE_S)
