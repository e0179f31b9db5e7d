"""A stack that is deployed, and what its user sees of it and does with it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.simulator.server import Running
from shared.domain.batch import LIVE, Batch
from shared.domain.ids import JobName
from shared.ports.store import StaleWrite
from tests.stack.ministack import ROOT, STACK, Ministack

RECIPE = b"""---
model: claude-opus-4-6
max_tokens: 1000
---
Write the minutes of:

{{ document.text }}
"""
PATIENCE_S = 420.0
"""A round of every timer, and as much again: reconcile ticks every five minutes."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """`out` are the stack's outputs, `parameters` what it was deployed with."""

    aws: Ministack
    provider: Running
    parameters: Mapping[str, Any]
    out: Mapping[str, str]

    @cached_property
    def names(self) -> dict[str, str]:
        """The name that each resource got, by the template's."""
        answer = self.aws.client("cloudformation").describe_stack_resources(StackName=STACK)
        return {
            each["LogicalResourceId"]: _name(each["PhysicalResourceId"])
            for each in answer["StackResources"]
        }

    def docmill(self, *words: object) -> list[dict[str, Any]]:
        """The command on this stack, as a process of its own: its events. Statuses 0 and 3 are
        fine."""
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "handlers.cli.main",
                *map(str, words),
                "--stack",
                STACK,
                "--json",
            ],
            env=self.aws.environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode in (0, 3), ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]

    # ---- documents and reports ----

    def upload(self, job: str, documents: Mapping[str, bytes]) -> None:
        """Put them into the input bucket, several at once."""
        s3, bucket = self.aws.client("s3"), self.out["InputBucketName"]

        def put(item: tuple[str, bytes]) -> None:
            s3.put_object(Bucket=bucket, Key=f"{job}/{item[0]}", Body=item[1])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, documents.items()))

    def outputs(self, job: str) -> dict[str, int]:
        """What lies below a job in the output bucket, with how often it was written."""
        pages = self.aws.client("s3").get_paginator("list_object_versions")
        found: dict[str, int] = {}
        for page in pages.paginate(Bucket=self.out["OutputBucketName"], Prefix=f"{job}/"):
            for version in page.get("Versions", ()):
                name = version["Key"].removeprefix(f"{job}/")
                found[name] = found.get(name, 0) + 1
        return found

    def reports(self, job: str) -> dict[str, int]:
        """The same without what is published over and over."""
        published = {"summary.json", "failures.jsonl"}
        return {name: times for name, times in self.outputs(job).items() if name not in published}

    def summary(self, job: str) -> dict[str, Any]:
        """The job's published summary; empty before there is one."""
        s3, key = self.aws.client("s3"), f"{job}/summary.json"
        if "summary.json" not in self.outputs(job):
            return {}
        with s3.get_object(Bucket=self.out["OutputBucketName"], Key=key)["Body"] as body:
            found: dict[str, Any] = json.loads(body.read())
        return found

    def paid(self, job: str) -> list[str]:
        """The custom_id of every request of a job that the provider took."""
        ours = {batch.id for batch in self.batches(job)}
        batches = list(self.provider.simulator.batches.values())
        names = [row.custom_id for batch in batches for row in batch.rows]
        return [name for name in names if name.rpartition("-")[2] in ours]

    # ---- queues ----

    def queue(self, name: str) -> str:
        """The address of a queue, by the template's name."""
        url: str = self.aws.client("sqs").get_queue_url(QueueName=self.names[name])["QueueUrl"]
        return url

    def waiting(self, name: str) -> int:
        """Messages in a queue, seen or not."""
        sqs = self.aws.client("sqs")
        asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=self.queue(name), AttributeNames=asked)
        return sum(map(int, counts["Attributes"].values()))

    def hide(self, name: str, seconds: int) -> None:
        """How long a message that is being worked on isn't seen by others, from now on."""
        hidden = {"VisibilityTimeout": str(seconds)}
        self.aws.client("sqs").set_queue_attributes(QueueUrl=self.queue(name), Attributes=hidden)

    # ---- functions and state ----

    def configuration(self, function: str) -> dict[str, Any]:
        """A function's configuration."""
        name = self.names[function]
        found: dict[str, Any] = self.aws.client("lambda").get_function_configuration(
            FunctionName=name
        )
        return found

    def configure(self, function: str, **changes: Any) -> None:
        """Change a function's configuration."""
        name = self.names[function]
        self.aws.client("lambda").update_function_configuration(FunctionName=name, **changes)

    def tick(self, *functions: str) -> None:
        """What a timer does, without waiting for its minute."""
        for function in functions:
            answer = self.aws.client("lambda").invoke(
                FunctionName=self.names[function], Payload=b"{}"
            )
            with answer["Payload"] as payload:
                assert "FunctionError" not in answer, payload.read()

    @cached_property
    def store(self) -> DynamoStore:
        """The stack's table."""
        return DynamoStore(self.aws.client("dynamodb"), self.out["TableName"])

    def batches(self, job: str) -> list[Batch]:
        """The batches of a job."""
        return list(self.store.batches(JobName(job)))

    def pass_leases(self, job: str) -> None:
        """Let the 15 minutes pass that whoever took a batch up has for it; what moves on meanwhile
        needs none."""
        now = datetime.now(UTC)
        for batch in self.batches(job):
            if batch.status in LIVE and batch.next_at > now:
                with suppress(StaleWrite):
                    self.store.swap_batch(replace(batch, next_at=now))

    def until(
        self, condition: Callable[[], bool], what: str, *, meanwhile: Iterable[str] = ()
    ) -> None:
        """Wait for it, with ticks of timers meanwhile, or fail."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"{what}\n{self.aws.log()[-6000:]}"
            self.tick(*meanwhile)
            time.sleep(1)


def _name(physical: str) -> str:
    """Some resources are known by their ARN, and queues by their address."""
    if physical.startswith("arn:"):
        physical = physical.rpartition(":")[2]
        return physical.rpartition("/")[2]
    return physical.rpartition("/")[2] if physical.startswith("http") else physical
