"""One id leads from a document's upload to its report or failure, through every function's log."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from handlers import collect, intake, poll, reconcile, submit
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from shared.wiring.aws import home
from tests.handlers.aws_home import JOB, Cloud, cloud, load, sqs_event

MOST_BYTES_PER_DOCUMENT = 300
"""In all logs together, with paths of 25 bytes and metrics: 1,000,000 documents write 300 MB, which
CloudWatch takes in for 15 cents. It was 184 with 300 documents."""


@dataclass(slots=True)
class Functions:
    """The handlers, each with its log."""

    aws: Cloud
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    lines: list[str] = field(default_factory=list)

    def invoke(self, name: str, event: dict[str, Any]) -> Any:
        handlers: dict[str, Callable[..., Any]] = {
            "Intake": intake.handler,
            "Submit": submit.handler,
            "Poll": poll.handler,
            "Collect": collect.handler,
            "Reconcile": reconcile.handler,
        }
        self.patch.setenv("AWS_LAMBDA_FUNCTION_NAME", name)
        answer = handlers[name](event, self.aws.invocation)
        self.lines += [line for line in self.capsys.readouterr().out.splitlines() if line]
        return answer

    def take_in(self, documents: dict[str, bytes]) -> None:
        self.aws.upload({f"{JOB}/{path}": data for path, data in documents.items()})
        for messages in self.aws.taken(self.aws.uploads):
            assert self.invoke("Intake", sqs_event(messages)) == {"batchItemFailures": []}

    def bring_on(self) -> None:
        """A batch from its submission until it is collected and published."""
        tick = load("scheduler-tick.json")
        assert self.invoke("Submit", tick)["batches"] == 1
        end = time.monotonic() + 20
        while not self.invoke("Poll", tick)["ended"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        for messages in self.aws.taken(self.aws.collects):
            assert self.invoke("Collect", sqs_event(messages)) == {"batchItemFailures": []}
        self.invoke("Reconcile", tick)

    def way(self, name: str) -> list[tuple[str, str]]:
        """What `filter @message like NAME` shows: function and event of each line."""
        found = [json.loads(line) for line in self.lines if name in line]
        return [(line["function"], line["event"]) for line in found]

    def batches_of(self, name: str) -> list[str]:
        lines = (json.loads(line) for line in self.lines if name in line)
        return [line["batch"] for line in lines if line["event"] == "documents_claimed"]


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=0)) as running:
        yield running


@pytest.fixture
def functions(
    endpoint: str,
    provider: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Functions]:
    with cloud(endpoint, provider) as aws:
        monkeypatch.setenv("DOCMILL_LOG_LEVEL", "info")
        monkeypatch.setenv("DOCMILL_STACK", "docmill")
        home.cache_clear()
        capsys.readouterr()
        yield Functions(aws, monkeypatch, capsys)


def header(report: bytes) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(report.split(b"---\n")[1])
    return found


def test_one_id_leads_from_the_upload_over_a_retry_to_the_report(functions: Functions) -> None:
    aws = functions.aws
    faults = aws.provider.simulator.faults
    functions.take_in({"a.md": b"# A", "b.md": b"# B", "_READY": b""})
    faults.error_rate, faults.containing = 1.0, "a-md"
    functions.bring_on()
    faults.error_rate = 0.0
    functions.bring_on()

    told = header(aws.output_of(f"{JOB}/a.md.md"))
    name = told["correlation_id"]
    assert functions.way(name) == [
        ("Intake", "documents_taken_in"),
        ("Submit", "documents_claimed"),
        ("Collect", "documents_retried"),
        ("Submit", "documents_claimed"),
        ("Collect", "documents_reported"),
    ]
    [line] = [json.loads(each) for each in functions.lines if "documents_taken_in" in each]
    assert f"{name} a.md" in line["documents"].split("\n")
    first, second = functions.batches_of(name)
    assert told["custom_id"].endswith(second)
    assert first != second
    other = header(aws.output_of(f"{JOB}/b.md.md"))["correlation_id"]
    assert other != name
    assert functions.batches_of(other) == [first]


def test_a_failure_is_found_by_its_id_and_a_new_version_has_another(functions: Functions) -> None:
    aws = functions.aws
    faults = aws.provider.simulator.faults
    faults.error_rate, faults.error_type = 1.0, "invalid_request_error"
    functions.take_in({"a.md": b"# A", "_READY": b""})
    functions.bring_on()
    [failure] = aws.failures()
    name = failure["correlation_id"]
    assert functions.way(name) == [
        ("Intake", "documents_taken_in"),
        ("Submit", "documents_claimed"),
        ("Collect", "document_failed"),
    ]
    [line] = [json.loads(each) for each in functions.lines if "document_failed" in each]
    assert (line["correlation_id"], line["document"]) == (name, "a.md")
    assert line["type"] == failure["type"]

    faults.error_rate = 0.0
    functions.take_in({"a.md": b"# A, mended", "_READY": b""})
    functions.bring_on()
    mended = header(aws.output_of(f"{JOB}/a.md.md"))["correlation_id"]
    assert mended != name
    assert [event for _, event in functions.way(mended)] == [
        "documents_taken_in",
        "documents_claimed",
        "documents_reported",
    ]
    assert len(functions.way(name)) == 3


def test_a_version_that_comes_while_another_is_in_a_batch_is_followed_too(
    functions: Functions,
) -> None:
    aws = functions.aws
    functions.take_in({"a.md": b"# First", "_READY": b""})
    assert functions.invoke("Submit", {})["requests"] == 1
    functions.take_in({"a.md": b"# Second"})
    seen = [json.loads(line) for line in functions.lines if "documents_taken_in" in line]
    older, newer = (line["documents"].partition(" ")[0] for line in seen)
    end = time.monotonic() + 20
    while not functions.invoke("Poll", {})["ended"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    for messages in aws.taken(aws.collects):
        functions.invoke("Collect", sqs_event(messages))
    functions.take_in({"_READY": b""})
    functions.bring_on()
    assert header(aws.output_of(f"{JOB}/a.md.md"))["correlation_id"] == newer
    for name in (older, newer):
        assert [event for _, event in functions.way(name)] == [
            "documents_taken_in",
            "documents_claimed",
            "documents_reported",
        ]


def test_what_cannot_become_a_document_and_what_is_removed_leave_a_trace(
    functions: Functions,
) -> None:
    aws = functions.aws
    functions.take_in({"a\u202eb.md": b"# A", "b.md": b"# B"})
    aws.s3.delete_object(Bucket=aws.input, Key=f"{JOB}/b.md")
    event = load("s3-put.json")
    event["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    event["Records"][0]["s3"]["object"]["key"] = f"{JOB}/b.md"
    message = {"MessageId": "m", "ReceiptHandle": "r", "MD5OfBody": "", "Body": json.dumps(event)}
    functions.invoke("Intake", sqs_event([message]))
    functions.invoke("Reconcile", {})
    [failure] = aws.failures()
    assert [event for _, event in functions.way(failure["correlation_id"])] == [
        "documents_failed",
        "documents_taken_in",
    ]
    seen = [json.loads(line)["documents"] for line in functions.lines if "documents_taken" in line]
    gone = next(row.split(" ")[0] for text in seen for row in text.split("\n") if " b.md" in row)
    assert functions.way(gone)[-1] == ("Intake", "documents_forgotten")


def test_the_logs_of_many_documents_are_short(functions: Functions) -> None:
    """Every function at work, each with as many messages as SQS gives it here."""
    documents = {f"team {n % 5}/project-{n:05d}.md": b"# %d" % n for n in range(100)}
    functions.take_in(documents | {"_READY": b""})
    functions.invoke("Submit", {})
    end = time.monotonic() + 30
    while len(functions.aws.reports()) < len(documents):
        assert time.monotonic() < end
        functions.invoke("Poll", {})
        for messages in functions.aws.taken(functions.aws.collects):
            functions.invoke("Collect", sqs_event(messages))
        time.sleep(0.05)
    functions.invoke("Reconcile", {})
    written = sum(len(line) + 1 for line in functions.lines)
    assert written / len(documents) < MOST_BYTES_PER_DOCUMENT
