"""A table that has enough for now: what was to be written comes back later, and nothing is lost."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import collect, reconcile, submit
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.ports.store import StoreUnavailable
from shared.wiring.aws import home
from tests.faults.cloud import batches, check_whole, documents, ended, pass_leases, take_in
from tests.handlers.aws_home import JOB, Cloud, sqs_event

_COUNT = 20


class Throttle:
    """The table takes so many documents more, and says of all others that it is too busy."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = _COUNT * 1000
        self.refused = 0
        table = home().store._table
        self._plain = table._client.batch_execute_statement
        patch.setattr(table._client, "batch_execute_statement", self._some)
        patch.setattr(table, "_sleep", lambda _: None)

    def _some(self, *, Statements: list[Any]) -> Any:  # noqa: N803 - boto3's name
        taken = Statements[: self.left]
        self.left -= len(taken)
        over = len(Statements) - len(taken)
        self.refused += over
        told = self._plain(Statements=taken)["Responses"] if taken else []
        busy = {"Error": {"Code": "ThrottlingError", "Message": "Throughput exceeds the capacity"}}
        return {"Responses": told + [busy] * over}


@pytest.fixture
def throttle(aws: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Throttle]:
    found = Throttle(monkeypatch)
    yield found
    assert found.refused, "the table was never too busy"


def test_uploads_that_the_table_can_not_take_come_back(aws: Cloud, throttle: Throttle) -> None:
    aws.sqs.set_queue_attributes(QueueUrl=aws.uploads, Attributes={"VisibilityTimeout": "1"})
    found = documents(_COUNT)
    throttle.left = 7
    aws.upload({f"{JOB}/{path}": data for path, data in found.items()})
    assert aws.take_uploads() != []
    throttle.left = _COUNT * 10
    time.sleep(1.1)
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    check_whole(aws, found)


def test_a_batch_that_the_table_can_not_claim_whole_waits_and_is_sent_once(
    aws: Cloud, throttle: Throttle
) -> None:
    found = take_in(aws, _COUNT)
    throttle.left = 7
    with pytest.raises(StoreUnavailable, match="throttled"):
        submit.handler({}, aws.invocation)
    assert [each.status for each in batches(*BatchStatus)] == [BatchStatus.PLANNED]
    assert aws.paid() == []
    throttle.left = _COUNT * 10
    pass_leases()
    check_whole(aws, found)
    assert len(batches(*BatchStatus)) == 1


def test_results_that_the_table_can_not_take_are_collected_later(
    aws: Cloud, throttle: Throttle
) -> None:
    [message] = ended(aws, _COUNT)
    throttle.left = 7
    answer = collect.handler(sqs_event([message]), aws.invocation)
    assert answer == {"batchItemFailures": [{"itemIdentifier": message["MessageId"]}]}
    assert len(batches(BatchStatus.ENDED)) == 1
    [counted] = home().store.count(JobName(JOB)).values()
    assert counted == {DocumentStatus.REPORTED: 7, DocumentStatus.IN_BATCH: _COUNT - 7}
    throttle.left = _COUNT * 10
    pass_leases()
    assert reconcile.handler({}, aws.invocation)["to_collect"] == 1
    assert aws.collect() == 1
    check_whole(aws, documents(_COUNT))
