"""What a document costs the table and the processor on AWS, function by function.

The real handlers run on MiniStack (S3, SQS, DynamoDB) and the simulator, each function in a process
of its own, so that CPU is the function's alone, of all its threads. MiniStack answers slower than
AWS does and shares these processors: wall time says little, CPU and calls per document carry over.
`--one-by-one` writes each document by a PutItem of its own, for comparison.

A write costs the table one unit per started kilobyte of the item, and as much for each index that
it enters, leaves or changes in: two for a document that is taken in, two for its claim, one for
its end, as long as the item is below 1,024 bytes (DynamoDB's documentation, on-demand mode).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from handlers import collect, intake, poll, reconcile, submit
from shared.adapters.dynamo_table import Table
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from shared.app import claims
from shared.app import submit as submitting
from shared.app.groups import open_group
from shared.domain.batch import BatchStatus
from shared.domain.ids import JobName
from shared.wiring.ambient import utc_now
from shared.wiring.aws import AwsHome, home
from tests.faults.cloud import batches, until
from tests.handlers.aws_home import JOB, Cloud, Invocation, cloud
from tests.stack.ministack import ministack

PHASES = ("intake", "submit", "collect", "publish")
_UPLOADS_PER_CALL = 500
"""As the template has it."""
_TIME_MS = 900_000
_PHASE_S = 3600
_PER_DOCUMENT = 4096

Figures = dict[str, Any]


def main() -> None:
    """Measure all phases, each in its process, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.phase:
        print(json.dumps(_measured(asked.phase, asked.documents, one_by_one=asked.one_by_one)))  # noqa: T201 - the parent reads it
        return
    settings = SimulatorSettings(duration_s=0, output_bytes=1000)
    with (
        tempfile.TemporaryDirectory() as folder,
        ministack(Path(folder)) as server,
        running_simulator(seed=1, settings=settings) as provider,
        cloud(server.url, provider) as aws,
    ):
        _drop(aws, asked.documents)
        found = {
            phase: _in_process(phase, asked.documents, aws, asked.one_by_one) for phase in PHASES
        }
        sizes = _item_sizes(server.client("dynamodb"))
    _show(found, asked.documents, sizes)


def _drop(aws: Cloud, count: int) -> None:
    text = b"# A document\n" + b"Some words about it. " * (_PER_DOCUMENT // 21)
    aws.upload({f"{JOB}/{path}": text + path.encode() for path in _paths(count)})


def _paths(count: int) -> list[str]:
    return [f"department/2026-11/document {number:06}.md" for number in range(count)]


def _in_process(phase: str, count: int, aws: Cloud, one_by_one: bool) -> Figures:
    if phase == "collect":
        until(lambda: _ended(aws))
    command = [sys.executable, "-m", __spec__.name, "--phase", phase, "--documents", str(count)]
    done = subprocess.run(
        [*command, *(["--one-by-one"] if one_by_one else [])],
        stdout=subprocess.PIPE,
        check=True,
        timeout=_PHASE_S,
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _ended(aws: Cloud) -> bool:
    poll.handler({}, aws.invocation)
    return bool(batches(BatchStatus.ENDED))


def _measured(phase: str, count: int, *, one_by_one: bool) -> Figures:
    """Run one function and say what it took."""
    calls: Counter[str] = Counter()
    aws = home()
    client = aws.store._table._client
    client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: calls.update([model.name])
    )
    claiming: list[float] = []

    async def timed(*args: Any) -> Any:
        began = time.process_time()
        try:
            return await claims.claim(*args)
        finally:
            claiming.append(time.process_time() - began)

    with (
        patch.object(submitting, "claim", timed),
        patch.object(Table, "put_many", _put_many(one_by_one)),
    ):
        work = _work(phase, count, aws)
        cpu, wall = time.process_time(), time.monotonic()
        work()
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return {"cpu": cpu, "wall": wall, "claim": sum(claiming), "calls": calls}


def _put_many(one_by_one: bool) -> Callable[..., list[bool]]:
    if not one_by_one:
        return Table.put_many

    def alone(table: Table, writes: Any) -> list[bool]:
        return table.each(lambda write: table.put(write[0], rev=write[1]), writes)

    return alone


def _work(phase: str, count: int, aws: AwsHome) -> Callable[[], object]:
    context = Invocation(remaining_ms=_TIME_MS)
    match phase:
        case "intake":
            events = list(_upload_events(count))
            return lambda: [_answer(intake.handler(event, context)) for event in events]
        case "submit":
            _close_groups()
            return lambda: submit.handler({}, context)
        case "collect":
            [batch] = batches(BatchStatus.ENDED)
            body = json.dumps({"batch_id": batch.id})
            return lambda: _answer(collect.handler(_sqs([body]), context))
        case _:
            return lambda: reconcile.handler({}, context)


def _upload_events(count: int) -> Any:
    keys = [f"{JOB}/{path}" for path in _paths(count)]
    for start in range(0, count, _UPLOADS_PER_CALL):
        yield _sqs([_put_notice(key) for key in keys[start : start + _UPLOADS_PER_CALL]])


def _close_groups() -> None:
    store = home().store
    for group in list(store.groups(JobName(JOB))):
        open_group(store, group.job, group.name, now=utc_now(), ready=True)


def _put_notice(key: str) -> str:
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key.replace(" ", "+")}}}
    return json.dumps({"Records": [record]})


def _sqs(bodies: list[str]) -> dict[str, Any]:
    return {"Records": [{"messageId": str(n), "body": body} for n, body in enumerate(bodies)]}


def _answer(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    assert answer == {"batchItemFailures": []}, answer
    return answer


def _item_sizes(client: Any) -> list[int]:
    """Bytes of each document's item, as DynamoDB counts them: names and values."""
    pages = client.get_paginator("scan").paginate(TableName=os.environ["DOCMILL_TABLE"])
    return [
        sum(len(name) + len(str(*value.values()).encode()) for name, value in item.items())
        for page in pages
        for item in page["Items"]
        if item["sk"]["S"].startswith("DOC#")
    ]


def _show(found: Mapping[str, Figures], count: int, sizes: list[int]) -> None:
    say = sys.stdout.write
    say(f"{count:,} documents of {_PER_DOCUMENT:,} bytes\n\n")
    say(f"{'':<26}{'CPU ms':>9}{'wall ms':>9}  {'calls of the table per 1,000 documents'}\n")
    for phase, figures in found.items():
        calls = ", ".join(
            f"{name} {1000 * number / count:,.0f}"
            for name, number in sorted(figures["calls"].items())
        )
        say(_row(phase, figures["cpu"], figures["wall"], count, calls))
        if figures["claim"]:
            say(_row("  of that, claims", figures["claim"], None, count, ""))
    say(f"\nitem of a document: {sum(sizes) / len(sizes):,.0f} bytes, at most {max(sizes):,}\n")


def _row(name: str, cpu: float, wall: float | None, count: int, calls: str) -> str:
    shown = "" if wall is None else f"{1000 * wall / count:.3f}"
    return f"{name:<26}{1000 * cpu / count:>9.3f}{shown:>9}  {calls}\n"


if __name__ == "__main__":
    main()
