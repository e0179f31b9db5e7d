"""A load of small documents through the real functions, metered: what it used, and how much more a
larger one uses."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from handlers.events import sqs_records, uploads
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from shared.domain.batch import BatchStatus
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.cost.meter import Meter, Units, add, metered
from tests.handlers.aws_home import Cloud, cloud, moto_server, sqs_event

FUNCTIONS = ("Intake", "Submit", "Poll", "Collect", "Reconcile")
JOB = JobName("minutes")
GROUPS = 10
"""Of a load; each becomes a batch, and a tenth of a million fills one."""

RECIPE = b"""---
model: claude-opus-4-6
max_tokens: 1000
---
Summarise this in a paragraph:

{{ document.text }}
"""
_SENTENCE = b"What stands in it doesn't matter here. "
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Of one function in one load: AWS's units, its waits by kind, and its own CPU seconds."""

    units: Units
    waits: Units
    cpu_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Load:
    """One load that went from upload to report, taken in by so many `calls`. `idle` is a tick of
    each timer before it."""

    documents: int
    calls: int
    by_function: dict[str, Used] = field(default_factory=dict)
    idle: dict[str, Used] = field(default_factory=dict)


class _Process:
    """The functions' process, and what each of them took of it."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.cpu_s: Counter[str] = Counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cost.function_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __call__(self, function: str, event: dict[str, Any]) -> Any:
        """One invocation of a function that is warm."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"module": f"handlers.{function.lower()}", "event": event}
        with self.meter.of(function):
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            told = json.loads(self._process.stdout.readline())
        self.cpu_s[function] += told["cpu_s"]
        add(self.meter.used[function], {"lambda_request": 1, "log_byte": told["log_bytes"]})
        return told["answer"]

    def taken(self) -> dict[str, Used]:
        """What was used since it was last asked."""
        return {
            name: Used(
                units=self.meter.used.pop(name, {}),
                waits=self.meter.waits.pop(name, {}),
                cpu_s=self.cpu_s.pop(name, 0.0),
            )
            for name in FUNCTIONS
        }

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@contextmanager
def _stack() -> Iterator[tuple[Cloud, _Process]]:
    settings = SimulatorSettings(duration_s=0)
    with (
        metered() as meter,
        moto_server() as endpoint,
        running_simulator(settings=settings) as provider,
        cloud(endpoint, provider) as aws,
        pytest.MonkeyPatch.context() as patch,
    ):
        name = home().settings.table
        for service, call, named in (
            ("secretsmanager", "create_secret", {"Name": f"{name}-key", "SecretString": "dummy"}),
            ("events", "create_event_bus", {"Name": f"{name}-bus"}),
        ):
            client = boto3.client(service)
            getattr(client, call)(**named)
        patch.delenv("ANTHROPIC_API_KEY")
        patch.setenv("DOCMILL_API_KEY_SECRET", f"{name}-key")
        patch.setenv("DOCMILL_EVENT_BUS", f"{name}-bus")
        patch.setenv("DOCMILL_STACK", "docmill")
        patch.setenv("DOCMILL_SUBMIT_FUNCTION", f"{name}-submit")
        patch.setenv("DOCMILL_LOG_LEVEL", "info")
        home.cache_clear()
        functions = _Process(meter)
        try:
            yield aws, functions
        finally:
            functions.close()


def run(shapes: Sequence[tuple[int, int]], *, document_bytes: int) -> list[Load]:
    """For each shape, so many documents, so many to a call of intake, into a stack of its own:
    upload them, let the functions do their work, and see that all are reported."""
    loads = []
    for documents, per_call in shapes:
        with _stack() as (aws, functions):
            loads.append(_load(aws, functions, documents, size=document_bytes, per_call=per_call))
    return loads


def _load(aws: Cloud, functions: _Process, documents: int, *, size: int, per_call: int) -> Load:
    load = Load(documents=documents, calls=-(-documents // per_call))
    aws.upload({f"{JOB}/_recipe.md": RECIPE})
    _take_in(aws, functions, per_call)
    for name in ("Submit", "Poll", "Reconcile"):
        functions(name, {})  # the job's first summary, and the secret
    functions.taken()
    for name in ("Submit", "Poll", "Reconcile"):
        functions(name, {})
    load.idle = functions.taken()

    text = _SENTENCE * (size // len(_SENTENCE) - 1)
    folders = (f"{JOB}/2026-11/{n % GROUPS}" for n in range(documents))
    aws.upload(
        # Each says something else: the same request would be paid for once.
        {f"{f}/document-{n:07}.md": text + b"%39d" % n for n, f in enumerate(folders)}
    )
    _take_in(aws, functions, per_call)
    aws.upload({f"{JOB}/_READY": b""})
    _take_in(aws, functions, per_call)
    while functions("Submit", {})["requests"]:
        pass
    _until_ended(functions)
    for messages in aws.taken(aws.collects):
        for message in messages:
            functions("Collect", sqs_event([message]))
    functions("Reconcile", {})
    load.by_function = functions.taken()
    _count_the_rest(load)
    assert len(aws.reports(JOB)) == documents
    assert aws.summary(JOB)["documents"]["reported"] == documents
    return load


def _take_in(aws: Cloud, functions: _Process, per_call: int) -> None:
    """As Lambda does: messages are received in tens, and handed over in larger batches."""
    messages = [message for some in aws.taken(aws.uploads) for message in some]
    for at in range(0, len(messages), per_call):
        event = sqs_event(messages[at : at + per_call])
        assert functions("Intake", event) == {"batchItemFailures": []}
        asked = [list(uploads(record.body)) for record in sqs_records(event)]
        tens = -(-len(asked) // 10)
        # Sent by S3, received and deleted by Lambda.
        add(functions.meter.used["Intake"], {"sqs_request": len(asked) + 2 * tens})


def _until_ended(functions: _Process) -> None:
    store = home().store
    end = time.monotonic() + _PATIENCE_S
    while any(
        batch.status in {BatchStatus.SUBMITTING, BatchStatus.IN_PROGRESS}
        for batch in store.batches(JOB)
    ):
        functions("Poll", {})
        assert time.monotonic() < end, "a batch that has ended isn't seen to"
        time.sleep(0.1)


def _count_the_rest(load: Load) -> None:
    """What no call shows: bytes to the provider, collect's messages, notices to the topic."""
    batches = list(home().store.batches(JOB))
    used = {name: each.units for name, each in load.by_function.items()}
    add(used["Submit"], {"byte_out": sum(batch.body_size for batch in batches)})
    add(used["Collect"], {"sqs_request": 2 * len(batches)})  # received and deleted by Lambda
    add(used["Reconcile"], {"notice": used["Reconcile"].get("event", 0)})
