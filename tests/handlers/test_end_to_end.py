"""The AWS home from upload to report, on moto: S3, SQS and DynamoDB over HTTP."""

import random
from collections.abc import Iterator

import pytest

from handlers import intake
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from tests.handlers.aws_home import JOB, Cloud, Message, cloud, moto_server, sqs_event, tens

FOLDERS = ("data", "legal/contracts", "platform/core", "support", "web")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=0.2)) as running:
        yield running


@pytest.fixture
def aws(endpoint: str, provider: Running) -> Iterator[Cloud]:
    with cloud(endpoint, provider) as found:
        yield found


def readmes(count: int) -> dict[str, bytes]:
    return {
        f"{FOLDERS[n % len(FOLDERS)]}/project {n:03d}/README.md": (
            f"# Project {n}\n\nReads what no. {n} of {count} writes.\n"
        ).encode()
        for n in range(count)
    }


def flat(count: int) -> dict[str, bytes]:
    """As many documents in as many groups as there are folders."""
    return {path.replace("/README", "-README"): data for path, data in readmes(count).items()}


def in_job(documents: dict[str, bytes], job: str = JOB) -> dict[str, bytes]:
    return {f"{job}/{path}": data for path, data in documents.items()}


def test_500_uploads_become_500_reports_and_none_is_paid_for_twice(aws: Cloud) -> None:
    documents = flat(500)
    aws.upload(in_job(documents))
    again = dict(list(documents.items())[::10])
    aws.upload(in_job(again))

    arrived = [message for messages in aws.taken(aws.uploads) for message in messages]
    assert len(arrived) in (550, 551)  # with S3's test event
    rng = random.Random(7)
    late, early = arrived[:20], arrived[20:]
    rng.shuffle(early)
    redelivered = early[:60]
    order: list[Message] = early + redelivered
    for messages in tens(order):
        rng.shuffle(messages)
        assert intake.handler(sqs_event(messages), aws.invocation) == {"batchItemFailures": []}
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.tick()
    for messages in tens(late + redelivered[:20]):
        assert aws.invoke(intake.handler, aws.uploads, messages) == []
    summary = aws.settle()

    assert aws.reports() == {f"{path}.md" for path in documents}
    assert len(aws.paid()) == len(set(aws.paid())) == 500
    assert aws.failures() == []
    assert summary["documents"] == {
        "total": 500,
        "waiting": 0,
        "in_batch": 0,
        "reported": 500,
        "failed": 0,
    }
    assert summary["requests"]["reported"] == 500
    assert set(summary["groups"]) == set(FOLDERS)
    assert {batch["status"] for batch in summary["batches"]} == {"collected"}
