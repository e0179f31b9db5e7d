"""A document beyond the model's context through the functions, on moto: events twice, a part that
fails, a message lost."""

from collections.abc import Iterator

import pytest
import yaml

from handlers import intake, submit
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.adapters.converters import files
from tests.handlers.aws_home import JOB, Cloud, cloud, sqs_event, tens

RECIPE = b"---\nmodel: claude-haiku-4-5\n---\nReview it.\n\n{{ document.text }}\n"
TEXT = b"Both parties agree on this clause.\n\n" * 30_000


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=0.2)) as running:
        yield running


@pytest.fixture
def aws(endpoint: str, provider: Running) -> Iterator[Cloud]:
    with cloud(endpoint, provider) as found:
        yield found


def put(aws: Cloud, documents: dict[str, bytes]) -> None:
    aws.upload({f"{JOB}/{path}": data for path, data in documents.items()})


def test_it_becomes_one_report_whatever_comes_twice(aws: Cloud) -> None:
    put(aws, {"_recipe.md": RECIPE, "a/long.md": TEXT, "a/short.md": b"# Short"})
    arrived = [message for messages in aws.taken(aws.uploads) for message in messages]
    for messages in (*tens(arrived), *tens(arrived)):
        assert intake.handler(sqs_event(messages), aws.invocation) == {"batchItemFailures": []}
    put(aws, {"_READY": b""})
    aws.take_uploads()
    submit.handler({}, aws.invocation)
    counts = home().store.count(JobName(JOB))["a"]
    assert counts[DocumentStatus.IN_PARTS] == 1
    for messages in tens(arrived):
        intake.handler(sqs_event(messages), aws.invocation)
    summary = aws.settle()
    assert aws.reports() == {"a/long.md.md", "a/short.md.md"}
    assert summary["documents"]["total"] == summary["documents"]["reported"] == 2
    assert summary["outcomes"]["parts"] == 3
    assert len(aws.paid()) == len(set(aws.paid())) == 5
    body = aws.s3.get_object(Bucket=aws.output, Key=f"{JOB}/a/long.md.md")["Body"].read()
    assert yaml.safe_load(body.decode().split("---\n")[1])["parts"] == 3
    kept = aws.s3.list_objects_v2(Bucket=aws.output, Prefix=f"{JOB}/.docmill/parts/")
    assert kept["KeyCount"] == 0
    assert home().store.count(JobName(JOB)) == {"a": {DocumentStatus.REPORTED: 2}}


def test_a_part_that_fails_fails_its_document_alone(aws: Cloud, provider: Running) -> None:
    faults = provider.simulator.faults
    faults.refuse_rate, faults.containing = 1.0, "-0-0002-"
    put(aws, {"_recipe.md": RECIPE, "long.md": TEXT, "short.md": b"# Short", "_READY": b""})
    aws.take_uploads()
    aws.tick()
    summary = aws.settle()
    assert summary["documents"]["failed"] == summary["documents"]["reported"] == 1
    [failure] = aws.failures()
    assert failure["path"] == "long.md"
    assert failure["message"].startswith("part 3 of 3: ")


def test_a_pdf_of_too_many_pages_becomes_one_report(aws: Cloud) -> None:
    long = files.pdf(*(f"Sheet {number}" for number in range(110)))
    put(aws, {"_recipe.md": RECIPE, "a/long.pdf": long, "_READY": b""})
    aws.take_uploads()
    submit.handler({}, aws.invocation)
    assert home().store.count(JobName(JOB))["a"] == {DocumentStatus.IN_PARTS: 1}
    summary = aws.settle()
    assert aws.reports() == {"a/long.pdf.md"}
    assert summary["outcomes"]["parts"] == 5
    assert len(aws.paid()) == len(set(aws.paid())) == 6
    body = aws.s3.get_object(Bucket=aws.output, Key=f"{JOB}/a/long.pdf.md")["Body"].read()
    header = yaml.safe_load(body.decode().split("---\n")[1])
    assert header["parts"] == 5
    assert header["input_tokens"] > 110 * 1_600
    assert header["cost_usd"] == pytest.approx(summary["cost_usd"])
