"""What `drop` and `backfill` take to see that a million keys are there already, but for a few.

The real commands run, each in a process of its own. S3's answers are made in that process, just
before they would be asked for, so that botocore parses every page; DynamoDB's rows are handed over
as documents. `drop` walks a million real names and reads and hashes each file (one in a thousand
names is a file of its own; the others are links to it). One key in a thousand isn't there: exactly
those must be sent, and memory must stay below the bound.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import md5
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, quote, urlsplit

import botocore.handlers
from botocore.awsrequest import AWSRequest, AWSResponse

from handlers.cli.stack.backfill import backfill
from handlers.cli.stack.drop import drop
from shared.adapters.builtin import builtin_recipes
from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.s3_blobs import S3Blobs
from shared.domain.document import Content, Document, DocumentStatus
from shared.domain.ids import JobName
from shared.wiring.stack import OUTPUTS

MOST_BYTES = 100_000_000
PHASES = ("drop", "copy", "in_place")
_JOB = JobName(next(iter(builtin_recipes())))
_FOLDER = _ONE_MISSES = _PAGE = 1000
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MEMORY = Path("/dev/shm")
_PATIENCE_S = 3600


def path_of(number: int) -> str:
    """The path below the job, in the order of numbers."""
    folder, place = divmod(number, _FOLDER)
    return f"department {folder:05}/2026-11/document {place:04}.md"


@lru_cache(maxsize=4)
def content_of(folder: int) -> tuple[bytes, str]:
    """What all files of a folder hold, and what S3 says of it."""
    text = b"# A document of department %05d\n" % folder + b"Some words. " * 20
    return text, md5(text, usedforsecurity=False).hexdigest()


def seen(number: int) -> tuple[int, str]:
    """Its size and ETag."""
    text, etag = content_of(number // _FOLDER)
    return len(text), etag


def is_missing(number: int) -> bool:
    """Whether it isn't in the stack yet."""
    return number % _ONE_MISSES == _ONE_MISSES // 2


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class Answers:
    """What AWS says to the calls of one command; copies and messages are counted."""

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self.pages = 0
        self.cpu = 0.0
        self.in_place = False
        self.sent: list[str] = []

    def __call__(self, request: AWSRequest, **_: Any) -> AWSResponse:
        """In place of sending it."""
        began = time.thread_time()
        answer = AWSResponse(request.url, 200, {}, _Raw(self._answer(request).encode()))
        self.cpu += time.thread_time() - began
        return answer

    def _answer(self, request: AWSRequest) -> str:
        url = urlsplit(request.url)
        asked = {name: value[0] for name, value in parse_qs(url.query).items()}
        host = str(url.hostname)
        if host.startswith("cloudformation"):
            return self._stack()
        if host.startswith("sqs"):
            return self._queued(json.loads(request.body))
        if request.method == "PUT":
            self.sent.append(url.path)
            return f'<CopyObjectResult><ETag>"{"0" * 32}"</ETag></CopyObjectResult>'
        return self._listed(url.path.strip("/") or host.partition(".")[0], asked)

    def _listed(self, bucket: str, asked: dict[str, str]) -> str:
        self.pages += 1
        begin = int(asked.get("continuation-token", 0))
        end = min(begin + _PAGE, self._keys)
        # The stack's own bucket lacks some where it is what others are compared with.
        whole = bucket == "archive" or self.in_place
        top = "old" if bucket == "archive" else _JOB
        rows = "".join(
            f"<Contents><Key>{quote(f'{top}/{path_of(n)}')}</Key>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{seen(n)[1]}"</ETag><Size>{seen(n)[0]}</Size>'
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for n in range(begin, end)
            if whole or not is_missing(n)
        )
        more = end < self._keys
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        return (
            "<ListBucketResult><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>"
        )

    def _queued(self, asked: dict[str, Any]) -> str:
        for entry in asked["Entries"]:
            records = json.loads(entry["MessageBody"])["Records"]
            self.sent += [record["s3"]["object"]["key"] for record in records]
        return json.dumps({"Successful": [{"Id": each["Id"]} for each in asked["Entries"]]})

    def _stack(self) -> str:
        where = "https://sqs.eu-central-1.amazonaws.com/1/queue"
        outputs = "".join(
            f"<member><OutputKey>{name}</OutputKey><OutputValue>"
            f"{where if 'queue' in key or 'dead' in key else key.replace('_', '-')}"
            "</OutputValue></member>"
            for key, name in OUTPUTS.items()
        )
        return (
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>"
            "<StackName>docmill</StackName><StackId>arn</StackId><StackStatus>CREATE_COMPLETE"
            "</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
            f"<Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult>"
            "</DescribeStacksResponse>"
        )


def _known(keys: int) -> Iterator[Document]:
    for n in range(keys):
        if is_missing(n):
            continue
        path = path_of(n)
        size, etag = seen(n)
        content = Content(source=f"{_JOB}/{path}", etag=etag, size=size)
        yield Document(
            job=_JOB,
            path=path,
            group=path.rpartition("/")[0],
            content=content,
            status=DocumentStatus.REPORTED,
            since=_AT,
        )


def write_names(folder: Path, keys: int) -> None:
    """A name for each key."""
    for begin in range(0, keys, _FOLDER):
        first = folder / path_of(begin)
        first.parent.mkdir(parents=True)
        first.write_bytes(content_of(begin // _FOLDER)[0])
        for n in range(begin + 1, min(begin + _FOLDER, keys)):
            os.link(first, folder / path_of(n))


def measured(phase: str, keys: int, folder: Path | None) -> dict[str, Any]:
    """Run one command in this process, whose calls go nowhere from now on."""
    answers = Answers(keys)
    answers.in_place = phase == "in_place"
    botocore.handlers.BUILTIN_HANDLERS.append(("before-send", answers))
    os.environ |= {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }

    def write_many(_: S3Blobs, items: Iterator[tuple[str, bytes]]) -> None:
        answers.sent.extend(key for key, _ in items)

    before = _peak()
    began, cpu = time.monotonic(), time.process_time()
    with (
        redirect_stdout(StringIO()) as said,
        patch.object(S3Blobs, "write_many", write_many),
        patch.object(DynamoStore, "all_documents", lambda *_: _known(keys)),
    ):
        if phase == "drop":
            drop(
                [str(folder)],
                stack="docmill",
                job=_JOB,
                group=None,
                recipe=None,
                digest=None,
                ready=False,
                as_json=True,
            )
        else:
            bucket = f"s3://input-bucket/{_JOB}" if phase == "in_place" else "s3://archive/old"
            backfill(bucket, stack="docmill", job=_JOB, group=None, as_json=True)
    told = json.loads(said.getvalue().splitlines()[-1])
    return {
        "wall": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "stub_cpu": answers.cpu,
        "before": before,
        "peak": _peak(),
        "pages": answers.pages,
        "sent": len(set(answers.sent)),
        "calls": len(answers.sent),
        "there": told["there"],
    }


def _peak() -> int:
    """In bytes. Linux's `ru_maxrss` counts the peak of who started this process as its own."""
    status = Path("/proc/self/status")
    if not status.is_file():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    [line] = [each for each in status.read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def wrong(keys: int, found: dict[str, Any]) -> list[str]:
    """What isn't as it must be, a line each."""
    missing = sum(map(is_missing, range(keys)))
    faults = []
    if (found["sent"], found["calls"], found["there"]) != (missing, missing, keys - missing):
        faults.append(
            f"{found['calls']:,} sent ({found['sent']:,} keys) and {found['there']:,} there, "
            f"not {missing:,} and {keys - missing:,}"
        )
    if found["peak"] > MOST_BYTES:
        faults.append(
            f"{found['peak'] / 1e6:,.0f} MB at the peak, more than {MOST_BYTES / 1e6:.0f}"
        )
    return faults


def main() -> int:
    """Measure all, each in its process; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.phase:
        say(json.dumps(measured(asked.phase, asked.keys, asked.folder)))
        return 0
    status = 0
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        write_names(Path(folder), asked.keys)
        for phase in PHASES:
            found = in_process(phase, asked.keys, folder)
            say(
                f"{phase:9} {asked.keys:,} keys: {found['wall']:.1f} s, {found['cpu']:.1f} s CPU "
                f"({found['stub_cpu']:.1f} s of it to make the answers), "
                f"{asked.keys / found['wall']:,.0f} keys/s; {found['peak'] / 1e6:.0f} MB at the "
                f"peak, {found['before'] / 1e6:.0f} MB before; {found['pages']:,} pages, "
                f"{found['sent']:,} sent"
            )
            for line in wrong(asked.keys, found):
                status = 1
                say(f"{phase}: {line}")
    return status


def in_process(phase: str, keys: int, folder: str) -> dict[str, Any]:
    """The figures of one command, run in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.listings", "--phase", phase, "--keys", str(keys)]
    done = subprocess.run(
        [*command, "--folder", folder], stdout=subprocess.PIPE, check=True, timeout=_PATIENCE_S
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def say(line: str) -> None:
    """Print at once: each takes a while."""
    print(line, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
