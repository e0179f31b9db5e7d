"""The AWS home from upload to report, on moto: S3, SQS and DynamoDB over HTTP."""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from handlers import collect, intake, poll, reconcile, submit
from handlers.cli import commands
from handlers.cli.agreeing import Consent
from handlers.events import MalformedEvent, changed_keys, sqs_records, upload_records
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.adapters.converters import files
from tests.handlers.aws_home import (
    EVENTS,
    JOB,
    Cloud,
    Message,
    cloud,
    load,
    sqs_event,
    tens,
)

RECIPE = b"""---
model: claude-opus-4-6
max_tokens: 1000
---
Write the minutes of:

{{ document.text }}
"""
FOLDERS = ("data", "legal/contracts", "platform/core", "support", "web")


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
    [_] = [message for message in arrived if "s3:TestEvent" in message["Body"]]
    assert len(arrived) == 550 + 1
    rng = random.Random(7)
    late, early = arrived[:20], arrived[20:]
    rng.shuffle(early)
    redelivered = early[:60]
    order: list[Message] = early + redelivered
    none: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}
    with ThreadPoolExecutor(4) as lambdas:
        answers = lambdas.map(
            lambda messages: intake.handler(sqs_event(messages), aws.invocation), tens(order)
        )
        assert all(answer == none for answer in answers)
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.tick()
    for messages in tens(late + redelivered[:20]):
        assert aws.invoke(intake.handler, aws.uploads, messages) == []
    aws.settle()
    for messages in tens(late + redelivered[:20]):
        assert intake.handler(sqs_event(messages), aws.invocation) == none
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
    assert summary["outcomes"]["reported"] == 500
    assert set(summary["groups"]) == set(FOLDERS)
    assert {batch["status"] for batch in summary["batches"]} == {"collected"}


def test_documents_of_other_kinds_are_converted_and_bad_ones_say_why(aws: Cloud) -> None:
    documents = {
        "a/contract.pdf": files.pdf("Clause 1"),
        "a/review.pptx": files.slides(),
        "a/scan.png": files.image(),
        "a/plain.md": b"# Plain",
        "a/locked.pdf": files.locked_pdf("secret"),
        "a/broken.docx": b"PK\x03\x04 broken",
    }
    aws.upload(in_job(documents))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle()
    assert aws.reports() == {
        "a/contract.pdf.md",
        "a/plain.md.md",
        "a/review.pptx.md",
        "a/scan.png.md",
    }
    assert {each["path"]: each["type"] for each in aws.failures()} == {
        "a/broken.docx": "broken_document",
        "a/locked.pdf": "encrypted",
    }
    head = yaml.safe_load(aws.output_of(f"{JOB}/a/review.pptx.md").decode().split("---\n")[1])
    assert head["losses"] == ["1 image left out"]


def test_both_homes_make_equal_reports(
    aws: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = EVENTS / "documents"
    samples = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    aws.upload(in_job(samples))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    theirs = aws.settle()

    out = tmp_path / "out"
    status = run_on_laptop(folder, out)
    ours = json.loads((out / "summary.json").read_bytes())

    reports = {path.relative_to(out).as_posix() for path in out.rglob("*.md")}
    assert reports == aws.reports()
    assert len(reports) >= 12
    for path in reports:
        assert comparable(aws.output_of(f"{JOB}/{path}")) == comparable((out / path).read_bytes())
    for key in ("documents", "outcomes", "tokens", "cost_usd", "groups"):
        assert theirs[key] == ours[key]
    failures = [json.loads(line) for line in (out / "failures.jsonl").read_bytes().splitlines()]
    for failure in (*failures, *(told := aws.failures())):
        assert len(failure.pop("correlation_id")) == 12
    assert told == failures
    assert status == bool(failures)


def run_on_laptop(folder: Path, out: Path) -> int:
    return commands.run(
        (str(folder),),
        out,
        recipe=JOB,
        model=None,
        group_by=None,
        poll_interval=0.05,
        max_attempts=None,
        max_cost=None,
        wait=True,
        simulate=False,
        given=Consent(yes=True, above=Decimal(0)),
        as_json=True,
    )


def comparable(report: bytes) -> list[bytes]:
    """A report without what names the batch it came with, and the version: etags differ."""
    names = (b"custom_id: ", b"batch: ", b"correlation_id: ")
    lines = report.splitlines()
    assert sum(line.startswith(names) for line in lines) == 3
    return [line for line in lines if not line.startswith(names)]


@pytest.mark.parametrize(
    "name",
    [
        "sqs-s3-put.json",
        "sqs-s3-batch.json",
        "s3-put.json",
        "s3-put-url-encoded-key.json",
        "s3-test-event.json",
    ],
)
def test_real_payloads_are_taken_in(aws: Cloud, name: str) -> None:
    """With the queue around them, as they come, and without it, as a person sends them."""
    event = load(name)
    keys = {key for record in upload_records(event) for key in changed_keys(record.body)}
    aws.upload({key: key.encode() for key in keys})

    for form in [event] if name.startswith("sqs-") else [event, wrapped(event)]:
        assert intake.handler(form, aws.invocation) == {"batchItemFailures": []}

    waiting = [d.path for g in home().store.groups() for d in home().store.waiting(g.job, g.name)]
    assert {f"{JOB}/{path}" for path in waiting} == keys
    assert len(waiting) == len(keys)


def wrapped(event: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(event)
    return sqs_event([{"MessageId": "m", "ReceiptHandle": "r", "Body": body, "MD5OfBody": ""}])


def test_an_event_for_an_object_that_is_gone_is_passed_over(aws: Cloud) -> None:
    assert intake.handler(load("sqs-s3-put.json"), aws.invocation) == {"batchItemFailures": []}
    assert list(home().store.groups()) == []


@pytest.mark.parametrize("name", sorted(path.name for path in EVENTS.glob("*.json")))
def test_every_payload_is_taken_although_what_it_names_is_not_there(aws: Cloud, name: str) -> None:
    """What infra/README.md says comes of each on a stack that holds nothing."""
    event = load(name)
    if name == "scheduler-tick.json":
        for timer in (submit, poll, reconcile):
            assert not any(timer.handler(event, aws.invocation).values())
        return
    handler = collect.handler if name == "sqs-collect.json" else intake.handler
    failed = [
        item["itemIdentifier"] for item in handler(event, aws.invocation)["batchItemFailures"]
    ]
    poison = [event["Records"][0]["messageId"]] if name == "sqs-poison.json" else []
    assert failed == poison
    assert list(home().store.groups()) == []


def test_a_notification_without_a_queue_that_fails_fails_where_lambda_sees_it(
    aws: Cloud,
) -> None:
    event = load("s3-put.json")
    event["Records"][0]["s3"]["object"]["key"] = ""
    with pytest.raises(MalformedEvent):
        intake.handler(event, aws.invocation)


def test_a_poison_record_comes_back_and_the_others_are_taken(aws: Cloud) -> None:
    event = load("sqs-poison.json")
    poison, good = sqs_records(event)
    [key] = changed_keys(good.body)
    aws.upload({key: b"# Fiscalwise"})

    failed = intake.handler(event, aws.invocation)

    assert failed == {"batchItemFailures": [{"itemIdentifier": poison.message_id}]}
    path = key.removeprefix(f"{JOB}/")
    assert list(home().store.documents(JobName(JOB), [path])) == [path]


def test_a_poison_record_to_collect_comes_back(aws: Cloud) -> None:
    failed = collect.handler(load("sqs-poison.json"), aws.invocation)
    ids = [record.message_id for record in sqs_records(load("sqs-poison.json"))]
    assert [item["itemIdentifier"] for item in failed["batchItemFailures"]] == ids


def test_a_batch_nobody_knows_is_nothing_to_collect(aws: Cloud) -> None:
    assert collect.handler(load("sqs-collect.json"), aws.invocation) == {"batchItemFailures": []}


def test_a_job_without_a_recipe_fails_clearly_and_starts_once_one_arrives(aws: Cloud) -> None:
    documents = readmes(5)
    aws.upload(in_job(documents, "minutes"))
    aws.upload({"minutes/_READY": b""})
    assert aws.take_uploads() == []
    aws.tick()

    [failure] = aws.failures("minutes")
    assert failure["path"] == "_recipe.md"
    assert failure["type"] == "recipe_missing"
    assert "minutes/_recipe.md" in failure["message"]
    assert aws.paid() == []
    assert aws.summary("minutes")["documents"]["waiting"] == 5

    aws.upload({"minutes/_recipe.md": RECIPE})
    assert aws.take_uploads() == []
    aws.upload({"minutes/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle("minutes")

    assert aws.reports("minutes") == {f"{path}.md" for path in documents}
    assert aws.failures("minutes") == []
    assert len(aws.paid()) == 5


def test_ticks_that_overlap_pay_once(aws: Cloud) -> None:
    documents = readmes(20)
    aws.upload(in_job(documents))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    with ThreadPoolExecutor(3) as lambdas:
        ticks = [lambdas.submit(submit.handler, {}, aws.invocation) for _ in range(3)]
        assert sum(tick.result()["requests"] for tick in ticks) == 20
    aws.settle()
    assert aws.reports() == {f"{path}.md" for path in documents}
    assert len(aws.paid()) == 20


def test_ready_closes_the_group_of_its_folder_only(aws: Cloud) -> None:
    aws.upload(in_job({"data/a.md": b"# A", "web/b.md": b"# B"}))
    assert aws.take_uploads() == []
    aws.tick()
    assert aws.paid() == []

    aws.upload({f"{JOB}/data/_READY": b""})
    assert aws.take_uploads() == []
    assert submit.handler({}, aws.invocation)["requests"] == 1
    assert submit.handler({}, aws.invocation)["requests"] == 0
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle()
    assert aws.reports() == {"data/a.md.md", "web/b.md.md"}
    assert len(aws.paid()) == 2


def test_a_changed_object_is_reported_anew_and_an_unchanged_one_is_not(aws: Cloud) -> None:
    before, after = b"# One", b"# One, and much that is new since then"
    aws.upload(in_job({"a.md": before, "b.md": before, "c.md": before}))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle()
    first = {name: aws.output_of(f"{JOB}/{name}.md.md") for name in "abc"}
    assert len(aws.paid()) == 3

    aws.upload(in_job({"a.md": after, "b.md": before}))
    upload_in_parts(aws, f"{JOB}/c.md", before)
    assert aws.take_uploads() == []
    aws.settle()

    assert len(aws.paid()) == 4
    second = {name: aws.output_of(f"{JOB}/{name}.md.md") for name in "abc"}
    assert {name for name in "abc" if first[name] != second[name]} == {"a"}


def upload_in_parts(aws: Cloud, key: str, data: bytes) -> None:
    """The same content under another etag."""
    where = {"Bucket": aws.input, "Key": key}
    upload = aws.s3.create_multipart_upload(**where)["UploadId"]
    part = aws.s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=data)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    aws.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)


def test_awkward_keys_keep_their_names(aws: Cloud) -> None:
    documents = {
        path: f"# {n}".encode()
        for n, path in enumerate(
            [
                "two  spaces/ leading.md",
                "quotes/\"double\" and 'single'.md",
                "合同/采购 协议（终稿）.txt",
                "signs/a+b %2B 100% & c=d?e#f.md",
                "accents/cafe\u0301 Müller.md",
                "no extension",
            ]
        )
    }
    aws.upload(in_job(documents))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle()
    assert aws.reports() == {f"{path}.md" for path in documents}
    for path in documents:
        header = aws.output_of(f"{JOB}/{path}.md").split(b"---\n")[1]
        assert yaml.safe_load(header)["document"] == path


def test_an_object_outside_any_job_fails_where_somebody_sees_it(aws: Cloud) -> None:
    aws.upload({"stray.md": b"# Stray"})
    assert aws.take_uploads() == []
    aws.tick()
    [failure] = aws.failures("_unplaced")
    assert (failure["path"], failure["type"]) == ("stray.md", "no_job")


def test_collecting_that_runs_out_of_time_goes_on_in_another_invocation(
    aws: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.results._FLUSH_LINES", 5)
    documents = {f"{n}.md": b"# %d" % n for n in range(12)}
    aws.upload(in_job(documents))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    submit.handler({}, aws.invocation)
    deadline = time.monotonic() + 20
    while not poll.handler({}, aws.invocation)["ended"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    [messages] = aws.taken(aws.collects)
    aws.invocation.remaining_ms = 0
    assert aws.invoke(collect.handler, aws.collects, messages) == []
    assert 0 < len(aws.reports()) <= 12

    aws.invocation.remaining_ms = 300_000
    assert aws.collect() == 1
    reconcile.handler({}, aws.invocation)
    assert len(aws.reports()) == 12
    assert aws.summary()["outcomes"]["reported"] == 12
    assert len(aws.paid()) == 12


def test_a_lost_collect_message_is_queued_again_by_reconcile(aws: Cloud) -> None:
    aws.upload(in_job({"a.md": b"# A"}))
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    submit.handler({}, aws.invocation)
    deadline = time.monotonic() + 20
    while not poll.handler({}, aws.invocation)["ended"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [[lost]] = aws.taken(aws.collects)
    aws.sqs.delete_message(QueueUrl=aws.collects, ReceiptHandle=lost["ReceiptHandle"])

    assert reconcile.handler({}, aws.invocation)["to_collect"] == 1
    assert aws.collect() == 1
    assert aws.reports() == {"a.md.md"}


@pytest.mark.parametrize("timer", [submit, poll, reconcile])
def test_timers_take_the_schedulers_event(aws: Cloud, timer: ModuleType) -> None:
    counts = timer.handler(load("scheduler-tick.json"), aws.invocation)
    assert counts
    assert not any(counts.values())


def test_a_manifest_too_long_for_an_invocation_is_gone_on_with_by_the_next(aws: Cloud) -> None:
    rows = "".join(f'{{"id": "row-{n:04d}", "text": "about {n}"}}\n' for n in range(1200))
    aws.upload({f"{JOB}/rows.jsonl": rows.encode()})
    aws.invocation.remaining_ms = 0
    assert aws.take_uploads() == []
    known = home().store.count(JobName(JOB))
    assert known == {"": {DocumentStatus.WAITING: 1200}}
