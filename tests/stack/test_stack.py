"""The stack as `sam build` and `sam deploy` make it, from upload to report: `make stack`."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from tests.stack.ministack import Ministack, ministack

JOB = "project-analysis"
DOCUMENTS = 500
GROUPS = 5
PATIENCE_S = 420.0
"""A round of every timer, and as much again: reconcile ticks every five minutes."""

pytestmark = pytest.mark.skipif(
    "DOCMILL_STACK_VENVS" not in os.environ, reason="takes minutes: `make stack` runs it"
)


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=5)) as running:
        yield running


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Ministack]:
    with ministack(tmp_path) as found:
        yield found


def until(condition: Callable[[], bool], aws: Ministack, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what}\n{aws.log()[-6000:]}"
        time.sleep(1)


def waiting(aws: Ministack, name: str) -> int:
    """Messages in a queue, seen or not."""
    sqs = aws.client("sqs")
    counts = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"],
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ],
    )["Attributes"]
    return sum(map(int, counts.values()))


def keys(aws: Ministack, bucket: str) -> set[str]:
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {found["Key"] for page in pages for found in page.get("Contents", ())}


def read(aws: Ministack, bucket: str, key: str) -> Any:
    with aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"] as body:
        return json.loads(body.read())


def test_500_documents_become_500_reports_through_a_restart_of_everything(
    aws: Ministack, provider: Running
) -> None:
    out = aws.deploy(
        {"ApiBaseUrl": provider.base_url, "PollIntervalSeconds": 10, "DoubtGraceSeconds": 1}
    )
    put_key = aws.client("secretsmanager").put_secret_value
    put_key(SecretId=out["ApiKeySecretName"], SecretString="dummy")
    told = listening(aws, out)
    sqs, s3 = aws.client("sqs"), aws.client("s3")
    uploads = sqs.get_queue_url(QueueName="docmill-uploads")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=uploads, Attributes={"VisibilityTimeout": "5"})

    documents = {f"{n % GROUPS}/{n:03}.md": b"# Project %d\n" % n for n in range(DOCUMENTS)}
    for path, data in documents.items():
        s3.put_object(Bucket=out["InputBucketName"], Key=f"{JOB}/{path}", Body=data)
    sqs.send_message(QueueUrl=uploads, MessageBody="poison")
    sqs.send_message(QueueUrl=uploads, MessageBody=notification(f"{JOB}/0/000.md"))
    until(lambda: waiting(aws, "docmill-uploads") == 0, aws, "uploads are left")
    dead = out["UploadDeadLettersArn"].rpartition(":")[2]
    assert waiting(aws, dead) == 1

    for group in range(GROUPS):
        s3.put_object(Bucket=out["InputBucketName"], Key=f"{JOB}/{group}/_READY", Body=b"")
    until(lambda: len(paid(provider)) == DOCUMENTS, aws, "not all were submitted")
    aws.restart()
    aws.mended()

    reports = {f"{JOB}/{path}.md" for path in documents}
    published = {f"{JOB}/summary.json", f"{JOB}/failures.jsonl"}

    def finished() -> bool:
        if keys(aws, out["OutputBucketName"]) != reports | published:
            return False
        found = read(aws, out["OutputBucketName"], f"{JOB}/summary.json")
        return bool(found["documents"]["reported"] == DOCUMENTS)

    until(finished, aws, "reports are missing")
    assert len(paid(provider)) == len(set(paid(provider))) == DOCUMENTS
    assert waiting(aws, dead) == 1
    texts: list[str] = []

    def all_told() -> bool:
        answer = aws.client("sqs").receive_message(QueueUrl=told, MaxNumberOfMessages=10)
        texts.extend(json.loads(each["Body"])["Message"] for each in answer.get("Messages", ()))
        return len(set(texts)) >= GROUPS

    until(all_told, aws, f"not all groups were told of: {texts}")
    assert {text.strip('"') for text in texts} == {
        f"docmill docmill: group {group} of job {JOB} is finished: 100 reported, 0 failed"
        for group in range(GROUPS)
    }


def paid(provider: Running) -> list[str]:
    batches = list(provider.simulator.batches.values())
    return [row.custom_id for batch in batches for row in batch.rows]


def notification(key: str) -> str:
    """What S3 sends, once more."""
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key}}}
    return json.dumps({"Records": [record]})


def listening(aws: Ministack, out: dict[str, str]) -> str:
    """A queue that gets what the topic tells."""
    sqs = aws.client("sqs")
    url: str = sqs.create_queue(QueueName="told")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    aws.client("sns").subscribe(
        TopicArn=out["NotificationsTopicArn"],
        Protocol="sqs",
        Endpoint=asked["Attributes"]["QueueArn"],
    )
    return url
