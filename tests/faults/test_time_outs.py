"""Functions whose time really runs out, or that crash: they are killed, wherever they are."""

import time
from collections.abc import Iterator

import pytest

from handlers import collect, intake, reconcile, submit
from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from shared.domain.batch import BatchStatus
from tests.faults.cloud import (
    batches,
    check_whole,
    documents,
    ended,
    pass_leases,
    take_in,
    until,
)
from tests.faults.functions import Functions
from tests.handlers.aws_home import JOB, Cloud, sqs_event

_COUNT = 10


def _slowly(monkeypatch: pytest.MonkeyPatch, *, after: int, seconds: float) -> None:
    """Let results stand still after so many lines, once."""
    plain = Simulator._lines
    slow = [seconds]

    def lines(simulator: Simulator, batch: SimulatedBatch) -> Iterator[bytes]:
        for number, line in enumerate(plain(simulator, batch)):
            if number == after and slow:
                time.sleep(slow.pop())
            yield line

    monkeypatch.setattr(Simulator, "_lines", lines)


def test_collect_that_is_killed_in_mid_stream_is_brought_on_once_its_lease_is_over(
    aws: Cloud, host: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    [message] = ended(aws, _COUNT)
    _slowly(monkeypatch, after=8, seconds=6.0)
    invoked = host.begin(collect, sqs_event([message]), timeout_s=4.0)
    assert invoked.wait() is None
    assert invoked.killed
    assert 5 <= len(aws.reports()) < _COUNT, "some are written, and most are not"

    assert host.begin(collect, sqs_event([message]), timeout_s=20).wait() == {
        "batchItemFailures": []
    }
    assert len(batches(BatchStatus.ENDED)) == 1, "the lease of the dead is respected"
    assert reconcile.handler({}, aws.invocation)["to_collect"] == 0
    pass_leases()
    assert reconcile.handler({}, aws.invocation)["to_collect"] == 1
    assert aws.collect() == 1
    assert len(batches(BatchStatus.COLLECTED)) == 1
    check_whole(aws, documents(_COUNT))


def test_collect_that_sees_its_time_run_out_hands_on_to_another_invocation(
    aws: Cloud, host: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    [message] = ended(aws, _COUNT)
    _slowly(monkeypatch, after=8, seconds=2.5)
    answer = host.begin(collect, sqs_event([message]), timeout_s=4.0).wait()
    assert answer == {"batchItemFailures": []}
    assert len(batches(BatchStatus.ENDED)) == 1
    assert 0 < len(aws.reports()) <= _COUNT
    assert aws.collect() == 1, "the message that it sent to itself"
    assert batches(BatchStatus.ENDED) == []
    check_whole(aws, documents(_COUNT))


@pytest.mark.parametrize("cut", [None, Cut.BEFORE])
def test_submit_that_is_killed_while_it_waits_for_an_answer_leaves_a_doubt_that_is_settled(
    aws: Cloud, host: Functions, cut: Cut | None
) -> None:
    found = take_in(aws, 6, groups=2)
    fault = Fault(call=Call.CREATE, cut=cut, delay_s=8.0, times=2)
    aws.provider.simulator.faults.script.append(fault)
    assert host.begin(submit, {}, timeout_s=4.0).wait() is None
    assert len(batches(BatchStatus.SUBMITTING)) == 2
    assert len(aws.paid()) == (0 if cut else 6)
    pass_leases()
    _settle_doubts(aws)
    check_whole(aws, found)


def _settle_doubts(aws: Cloud) -> None:
    def is_settled() -> bool:
        reconcile.handler({}, aws.invocation)
        return not batches(BatchStatus.SUBMITTING, BatchStatus.IN_DOUBT)

    until(is_settled)


def test_submit_that_crashes_ever_later_brings_all_on_in_the_end(
    aws: Cloud, host: Functions
) -> None:
    found: dict[str, bytes] = {}
    killed = 0
    for timeout_s in (0.03, 0.06, 0.1, 0.15, 0.22):
        found |= take_in(aws, 3, first=len(found))
        invoked = host.begin(submit, {}, timeout_s=timeout_s, told_s=580)
        invoked.wait()
        killed += invoked.killed
        pass_leases()
    assert killed >= 3
    _settle_doubts(aws)
    check_whole(aws, found)


def test_intake_that_crashes_has_its_messages_brought_back_and_takes_each_once(
    aws: Cloud, host: Functions
) -> None:
    aws.sqs.set_queue_attributes(QueueUrl=aws.uploads, Attributes={"VisibilityTimeout": "1"})
    found = documents(21)
    aws.upload({f"{JOB}/{path}": data for path, data in found.items()})
    aws.upload({f"{JOB}/_READY": b""})
    killed = 0
    for timeout_s in (0.04, 0.1, 0.2):
        messages = next(aws.taken(aws.uploads))
        invoked = host.begin(intake, sqs_event(messages), timeout_s=timeout_s, told_s=300)
        invoked.wait()
        killed += invoked.killed
    assert killed >= 2
    time.sleep(1.1)
    assert aws.take_uploads() == []
    check_whole(aws, found)
