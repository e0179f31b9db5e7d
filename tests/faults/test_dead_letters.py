"""Poison messages: they end in the dead-letter queue, hold up nobody, and succeed when redriven
once their cause is mended."""

import json
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from handlers import collect, intake
from shared.adapters.s3_blobs import S3Blobs
from shared.app.intake import Taken
from shared.app.uploads import Upload, UploadTaken, take_together, take_upload
from shared.domain.batch import BatchStatus
from shared.domain.policy import Policy
from shared.ports.blobs import BlobStoreUnavailable
from shared.wiring import aws as wiring
from tests.aws import template
from tests.faults.cloud import batches, check_whole, documents, ended
from tests.handlers.aws_home import JOB, Cloud, Message

_MOST = 40


class DeadLetters:
    """A queue's dead-letter queue, with the number of tries that the template has."""

    def __init__(self, aws: Cloud, queue: str, resource: str) -> None:
        self._sqs, self._queue = aws.sqs, queue
        self.tries = template()["Resources"][resource]["Properties"]["RedrivePolicy"][
            "maxReceiveCount"
        ]
        self._dead = aws.sqs.create_queue(QueueName=queue.rsplit("/", 1)[-1] + "-dead")["QueueUrl"]
        asked = aws.sqs.get_queue_attributes(QueueUrl=self._dead, AttributeNames=["QueueArn"])
        policy = {
            "deadLetterTargetArn": asked["Attributes"]["QueueArn"],
            "maxReceiveCount": self.tries,
        }
        attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "0"}
        aws.sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)

    def messages(self) -> list[Message]:
        """What lies in it, without taking it."""
        answer = self._sqs.receive_message(
            QueueUrl=self._dead, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        found: list[Message] = answer.get("Messages", [])
        return found

    def redrive(self) -> None:
        """Move all of it back, as the console's redrive does."""
        for message in self.messages():
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=message["Body"])
            self._sqs.delete_message(QueueUrl=self._dead, ReceiptHandle=message["ReceiptHandle"])


def _work(aws: Cloud, module: Any, queue: str) -> list[int]:
    """Hand out what the queue shows until it shows nothing; how many failed each time."""
    failed = []
    for messages in aws.taken(queue):
        failed.append(len(aws.invoke(module.handler, queue, messages)))
        assert len(failed) < _MOST, "it comes back for ever"
    return failed


def test_a_poison_upload_ends_as_a_dead_letter_and_succeeds_when_it_is_redriven(
    aws: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = DeadLetters(aws, aws.uploads, "UploadQueue")
    found = documents(6)
    poison = f"{JOB}/{next(iter(found))}"

    def fails(deps: Any, upload: Upload, **how: Any) -> UploadTaken:
        if upload.key == poison:
            raise ZeroDivisionError("a bug that one document meets")
        return take_upload(deps, upload, **how)

    def fails_together(deps: Any, keys: list[str], **how: Any) -> tuple[Taken, set[str]]:
        if poison in keys:
            raise ZeroDivisionError("a bug that one document meets")
        return take_together(deps, keys, **how)

    with monkeypatch.context() as broken:
        broken.setattr(intake, "take_upload", fails)
        broken.setattr(intake, "take_together", fails_together)
        aws.upload({f"{JOB}/{path}": data for path, data in found.items()})
        aws.sqs.send_message(QueueUrl=aws.uploads, MessageBody="no JSON at all")
        failed = _work(aws, intake, aws.uploads)
        assert failed == [2] * dead.tries
        assert len(dead.messages()) == 2

        aws.upload({f"{JOB}/_READY": b""})
        assert _work(aws, intake, aws.uploads) == [0]
        aws.settle()
        assert aws.reports() == {f"{path}.md" for path in found} - {f"{poison}.md"[len(JOB) + 1 :]}

        dead.redrive()
        assert _work(aws, intake, aws.uploads) == [2] * dead.tries
        assert len(dead.messages()) == 2, "its cause is still there"
    dead.redrive()
    assert _work(aws, intake, aws.uploads) == [1] * dead.tries
    [malformed] = dead.messages()
    assert malformed["Body"] == "no JSON at all"
    aws.upload({f"{JOB}/_READY": b""})
    assert _work(aws, intake, aws.uploads) == [0]
    check_whole(aws, found)


def test_a_batch_that_cannot_be_collected_holds_up_no_other_and_is_collected_when_redriven(
    aws: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is over whenever the message comes again, as it is after the real 90 minutes."""
    monkeypatch.setattr(wiring, "Policy", partial(Policy, lease=timedelta(0)))
    messages = ended(aws, 6, groups=2)
    dead = DeadLetters(aws, aws.collects, "CollectQueue")
    for message in messages:
        aws.sqs.change_message_visibility(
            QueueUrl=aws.collects, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
    plain = S3Blobs.write_many

    def fails(blobs: S3Blobs, items: Iterable[tuple[str, bytes]]) -> None:
        held = list(items)
        if any("/group 0/" in key for key, _ in held):
            raise BlobStoreUnavailable("the bucket takes nothing below this prefix")
        plain(blobs, held)

    with monkeypatch.context() as broken:
        broken.setattr(S3Blobs, "write_many", fails)
        failed = _work(aws, collect, aws.collects)
        assert sum(failed) >= dead.tries - 1
        assert len(dead.messages()) == 1
        assert [batch.group for batch in batches(BatchStatus.COLLECTED)] == ["group 1"]
        assert [batch.group for batch in batches(BatchStatus.ENDED)] == ["group 0"]
    dead.redrive()
    assert _work(aws, collect, aws.collects) == [0]
    assert dead.messages() == []
    check_whole(aws, documents(6, groups=2))
