"""The AWS home for tests: moto over HTTP and a simulator; the test stands in for the triggers."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import ThreadedMotoServer

from handlers import collect, intake, poll, reconcile, submit
from shared.adapters.simulator.server import Running
from shared.domain.names import TABLES
from shared.wiring.aws import home
from tests.aws import environment, table_from_template
from tests.moto_statements import statements_understood

EVENTS = Path(__file__).parents[2] / "events"
JOB = "project-analysis"
BATCH = 10
"""Messages per invocation, as SQS hands them to Lambda."""

Message = Mapping[str, Any]
_lock = threading.RLock()


def load(name: str) -> dict[str, Any]:
    """One of the payloads that `sam local invoke` takes too."""
    found: dict[str, Any] = json.loads((EVENTS / name).read_text(encoding="utf-8"))
    return found


@dataclass(slots=True)
class Invocation:
    """Lambda's context: how much time is left."""

    remaining_ms: int = 300_000
    aws_request_id: str = "test"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@contextmanager
def moto_server() -> Iterator[str]:
    """A server's URL; one DynamoDB call at a time, without which moto loses writes of threads."""
    plain = DomainDispatcherApplication.__call__

    def one_at_a_time(app: DomainDispatcherApplication, environ: Any, start_response: Any) -> Any:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return plain(app, environ, start_response)
        with _lock:
            return plain(app, environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with statements_understood(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(DomainDispatcherApplication, "__call__", one_at_a_time)
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield f"http://{host}:{port}"
        finally:
            server.stop()


@dataclass(slots=True, kw_only=True)
class Cloud:
    """Two buckets, two queues, a table, a provider; what AWS would trigger is called by hand."""

    s3: Any
    sqs: Any
    input: str
    output: str
    uploads: str
    collects: str
    provider: Running
    invocation: Invocation = field(default_factory=Invocation)

    def upload(self, documents: Mapping[str, bytes]) -> None:
        """Put objects into the input bucket, several at once."""

        def put(item: tuple[str, bytes]) -> None:
            self.s3.put_object(Bucket=self.input, Key=item[0], Body=item[1])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, documents.items()))

    def taken(self, queue: str) -> Iterator[list[Message]]:
        """What waits in a queue, up to ten at once; it is deleted, or lost, by the caller."""
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=BATCH, WaitTimeSeconds=0
            )
            if not (messages := answer.get("Messages", [])):
                return
            yield messages

    def invoke(
        self, handler: Callable[[dict[str, Any], Any], Any], queue: str, messages: list[Message]
    ) -> list[str]:
        """Hand messages to a handler as SQS does; all but those it reports as failed are gone."""
        answer = handler(sqs_event(messages), self.invocation)
        failed = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
        done = [message for message in messages if message["MessageId"] not in failed]
        entries = [
            {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
            for place, message in enumerate(done)
        ]
        if entries:
            self.sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        return failed

    def take_uploads(self) -> list[str]:
        """Drain the upload queue into intake; the answer names the messages that failed."""
        failed: list[str] = []
        for messages in self.taken(self.uploads):
            failed += self.invoke(intake.handler, self.uploads, messages)
        return failed

    def collect(self) -> int:
        """Drain the collect queue; how many messages there were."""
        count = 0
        for messages in self.taken(self.collects):
            assert self.invoke(collect.handler, self.collects, messages) == []
            count += len(messages)
        return count

    def tick(self, event: dict[str, Any] | None = None) -> None:
        """One round of every timer, and of what it leads to."""
        tick = event if event is not None else load("scheduler-tick.json")
        submit.handler(tick, self.invocation)
        poll.handler(tick, self.invocation)
        self.collect()
        reconcile.handler(tick, self.invocation)

    def settle(self, job: str = JOB, *, seconds: float = 30.0) -> dict[str, Any]:
        """Tick until nothing of the job is open; the answer is its summary, once that says so."""
        deadline = time.monotonic() + seconds
        while True:
            self.tick()
            summary = self.summary(job)
            is_open = (
                not summary or summary["documents"]["waiting"] + summary["documents"]["in_batch"]
            )
            if not is_open and not any(stale.name == job for stale in home().store.stale_jobs()):
                return summary
            assert time.monotonic() < deadline, summary
            time.sleep(0.1)

    def keys(self, prefix: str = "") -> set[str]:
        """The names in the output bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.output, Prefix=prefix)
        return {found["Key"] for page in pages for found in page.get("Contents", ())}

    def reports(self, job: str = JOB) -> set[str]:
        """Paths of the job's reports."""
        own = {"summary.json", "failures.jsonl", *TABLES}
        names = {key.removeprefix(f"{job}/") for key in self.keys(f"{job}/")}
        return {name for name in names - own if not name.startswith(".docmill/")}

    def output_of(self, key: str) -> bytes:
        """One object of the output bucket."""
        with self.s3.get_object(Bucket=self.output, Key=key)["Body"] as body:
            return bytes(body.read())

    def summary(self, job: str = JOB) -> dict[str, Any]:
        """The job's published summary; empty before there is one."""
        if f"{job}/summary.json" not in self.keys(f"{job}/summary"):
            return {}
        found: dict[str, Any] = json.loads(self.output_of(f"{job}/summary.json"))
        return found

    def failures(self, job: str = JOB) -> list[dict[str, Any]]:
        """The job's published failures."""
        lines = self.output_of(f"{job}/failures.jsonl").splitlines()
        return [json.loads(line) for line in lines]

    def paid(self) -> list[str]:
        """The custom_id of every request that the provider ever took."""
        batches = self.provider.simulator.batches.values()
        return [row.custom_id for batch in batches for row in batch.rows]


def sqs_event(messages: Sequence[Message]) -> dict[str, Any]:
    """Messages in the shape in which Lambda gets them."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:docmill",
                "awsRegion": "eu-central-1",
            }
            for message in messages
        ]
    }


def tens(messages: Sequence[Message]) -> Iterable[list[Message]]:
    """As many as an invocation gets."""
    return (list(messages[at : at + BATCH]) for at in range(0, len(messages), BATCH))


@contextmanager
def cloud(endpoint: str, provider: Running) -> Iterator[Cloud]:
    """Resources of new names on a server, and an environment that leads the home to them."""
    name = f"docmill-{uuid4().hex[:12]}"
    plain = boto3.client
    clients: list[Any] = []

    def kept(*args: Any, **kwargs: Any) -> Any:
        client = plain(*args, **kwargs)
        clients.append(client)
        return client

    with environment(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", kept)
        for key, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "ANTHROPIC_BASE_URL": provider.base_url,
            "ANTHROPIC_API_KEY": "dummy",
            "DOCMILL_TABLE": name,
            "DOCMILL_INPUT_BUCKET": f"{name}-input",
            "DOCMILL_OUTPUT_BUCKET": f"{name}-output",
            "DOCMILL_POLL_INTERVAL_S": "0.05",
            "DOCMILL_LOG_LEVEL": "critical",
        }.items():
            patch.setenv(key, value)
        s3, sqs, dynamo = kept("s3"), kept("sqs"), kept("dynamodb")
        region = {"LocationConstraint": s3.meta.region_name}
        for bucket in (f"{name}-input", f"{name}-output"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
        table_from_template(dynamo, name)
        minutes = {"VisibilityTimeout": "600"}
        uploads, collects = (
            sqs.create_queue(QueueName=f"{name}-{use}", Attributes=minutes)["QueueUrl"]
            for use in ("uploads", "collects")
        )
        patch.setenv("DOCMILL_COLLECT_QUEUE_URL", collects)
        patch.setenv("DOCMILL_UPLOAD_QUEUE_URL", uploads)
        asked = sqs.get_queue_attributes(QueueUrl=uploads, AttributeNames=["QueueArn"])
        s3.put_bucket_notification_configuration(
            Bucket=f"{name}-input",
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": asked["Attributes"]["QueueArn"],
                        "Events": ["s3:ObjectCreated:*"],
                    }
                ]
            },
        )
        home.cache_clear()
        try:
            yield Cloud(
                s3=s3,
                sqs=sqs,
                input=f"{name}-input",
                output=f"{name}-output",
                uploads=uploads,
                collects=collects,
                provider=provider,
            )
        finally:
            home.cache_clear()
            for client in clients:
                client.close()
