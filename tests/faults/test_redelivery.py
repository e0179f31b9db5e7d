"""Messages that come again while the first who got them is still at work."""

import signal
import time
from collections.abc import Iterator

import pytest

from handlers import collect, reconcile
from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.core import Simulator
from shared.domain.batch import BatchStatus
from tests.faults.cloud import batches, check_whole, documents, ended, pass_leases, until
from tests.faults.functions import Functions
from tests.handlers.aws_home import JOB, Cloud, Message, sqs_event

_COUNT = 10
_DONE: dict[str, list[str]] = {"batchItemFailures": []}


def test_of_two_collectors_of_one_batch_the_first_finishes_and_the_second_leaves_it_alone(
    aws: Cloud, host: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = _hidden_for_a_second(aws)
    _in_halves(monkeypatch)
    invoked = host.begin(collect, sqs_event(messages), timeout_s=30)
    until(lambda: len(aws.reports()) > 0)
    invoked.send(signal.SIGSTOP)
    again = _again(aws)
    assert aws.invoke(collect.handler, aws.collects, again) == []
    assert batches(BatchStatus.ENDED) != []
    invoked.send(signal.SIGCONT)
    assert invoked.wait() == _DONE
    assert batches(BatchStatus.ENDED) == []
    check_whole(aws, documents(_COUNT))


def test_a_collector_that_outlasts_its_lease_finds_the_batch_closed_and_harms_nothing(
    aws: Cloud, host: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = _hidden_for_a_second(aws)
    _in_halves(monkeypatch)
    first = host.begin(collect, sqs_event(messages), timeout_s=60)
    until(lambda: len(aws.reports()) > 0)
    first.send(signal.SIGSTOP)
    pass_leases()
    assert reconcile.handler({}, aws.invocation)["to_collect"] > 0
    again = _again(aws)
    assert aws.invoke(collect.handler, aws.collects, again) == []
    assert batches(BatchStatus.ENDED) == []
    written = {path: aws.output_of(f"{JOB}/{path}") for path in aws.reports()}
    assert len(written) == _COUNT
    closed = {batch.id: batch.totals for batch in batches(BatchStatus.COLLECTED)}

    first.send(signal.SIGCONT)
    failed = first.wait()["batchItemFailures"]
    assert len(failed) == 1, "what it held was closed by another: its message comes again"
    assert aws.invoke(collect.handler, aws.collects, messages) == []
    assert {path: aws.output_of(f"{JOB}/{path}") for path in aws.reports()} == written
    assert {batch.id: batch.totals for batch in batches(BatchStatus.COLLECTED)} == closed
    check_whole(aws, documents(_COUNT))


def _hidden_for_a_second(aws: Cloud) -> list[Message]:
    """The message to collect a batch, which its queue shows again in a second."""
    aws.sqs.set_queue_attributes(QueueUrl=aws.collects, Attributes={"VisibilityTimeout": "1"})
    return ended(aws, _COUNT)


def _again(aws: Cloud) -> list[Message]:
    """The same message, as nobody has deleted it in that second."""
    time.sleep(1.1)
    return next(aws.taken(aws.collects))


def _in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that stop for a moment in their middle."""
    plain = Simulator._lines

    def lines(simulator: Simulator, batch: SimulatedBatch) -> Iterator[bytes]:
        for number, line in enumerate(plain(simulator, batch)):
            if number == 8:
                time.sleep(1.5)
            yield line

    monkeypatch.setattr(Simulator, "_lines", lines)
