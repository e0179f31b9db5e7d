"""Digests of groups on AWS: from the upload of their recipe to their report, on moto."""

import time
from collections.abc import Iterator

import pytest
import yaml

from handlers import intake, reconcile, submit
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from shared.domain.digest import digest_job
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.handlers.aws_home import JOB, Cloud, cloud, sqs_event, tens

RECIPE = b"---\nmodel: claude-haiku-4-5\nmax_wait: %b\n---\nRank these.\n\n{{ document.text }}\n"
DIGESTS = digest_job(JobName(JOB))
SOON = RECIPE % b"1s"


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
    aws.take_uploads()


def digested(aws: Cloud, *paths: str, seconds: float = 60.0) -> None:
    """Tick until these are there and nothing is to be done any more."""
    deadline = time.monotonic() + seconds
    while not (
        set(paths) <= aws.reports()
        and not list(home().store.stale_jobs())
        and not any(group.name.startswith("/") for group in home().store.groups(DIGESTS))
    ):
        assert time.monotonic() < deadline, (aws.reports(), list(home().store.groups()))
        aws.tick()
        time.sleep(0.1)


def test_each_finished_group_gets_one_digest_whatever_comes_twice(aws: Cloud) -> None:
    documents = {f"{group}/{n}.md": b"# %d" % n for group in ("legal", "sales") for n in range(3)}
    put(aws, {"_digest.md": SOON, "legal/empty.md": b"", **documents, "_READY": b""})
    aws.settle()
    digested(aws, "legal/_digest.md", "sales/_digest.md")

    assert aws.reports() == {
        f"{path}.md" for path in (*documents, "legal/_digest", "sales/_digest")
    }
    assert len(aws.paid()) == len(set(aws.paid())) == 6 + 2
    report = aws.output_of(f"{JOB}/legal/_digest.md").decode()
    assert yaml.safe_load(report.split("---\n")[1])["document"] == "legal/_digest"
    texts = [aws.output_of(key).decode() for key in aws.keys(f"{DIGESTS}/in/")]
    [legal] = [text for text in texts if "legal/0.md" in text]
    assert "3 documents have a report; 1 have none" in legal
    assert "sales/" not in legal
    summary = aws.summary(DIGESTS)
    assert summary["documents"]["reported"] == summary["outcomes"]["reported"] == 2
    assert aws.failures(DIGESTS) == []
    assert aws.summary()["documents"]["total"] == 7

    put(aws, {"_digest.md": SOON, "_READY": b""})  # events come twice
    for _ in range(3):
        aws.tick()
    put(aws, {"sales/3.md": b"# another"})
    put(aws, {"sales/_READY": b""})
    before = aws.output_of(f"{JOB}/legal/_digest.md")
    aws.settle()
    deadline = time.monotonic() + 60
    while len(aws.paid()) < 6 + 2 + 2:
        assert time.monotonic() < deadline
        aws.tick()
        time.sleep(0.1)
    digested(aws, "sales/_digest.md")
    assert len(aws.paid()) == len(set(aws.paid())) == 6 + 2 + 2
    assert aws.output_of(f"{JOB}/legal/_digest.md") == before


def test_a_notification_of_the_recipe_that_comes_twice_changes_nothing(aws: Cloud) -> None:
    put(aws, {"a/1.md": b"# 1", "_READY": b""})
    aws.settle()
    aws.upload({f"{JOB}/_digest.md": SOON})
    arrived = [message for messages in aws.taken(aws.uploads) for message in messages]
    for messages in (*tens(arrived), *tens(arrived)):
        assert intake.handler(sqs_event(messages), aws.invocation) == {"batchItemFailures": []}
    digested(aws, "a/_digest.md")
    assert len(aws.paid()) == 2
    assert not any("_digest" in name for name in aws.summary()["groups"])


def test_it_waits_as_long_as_its_recipe_says(aws: Cloud) -> None:
    put(aws, {"_digest.md": RECIPE % b"1d", "a/1.md": b"# 1", "_READY": b""})
    aws.settle()
    for _ in range(3):
        submit.handler({}, aws.invocation)
        assert reconcile.handler({}, aws.invocation)["digests"] == 0
    assert [group.name for group in home().store.groups(DIGESTS)] == ["/a"]
    put(aws, {"_digest.md": SOON})
    digested(aws, "a/_digest.md")


def test_reports_beyond_a_models_context_are_split_and_merged(aws: Cloud) -> None:
    put(aws, {"_digest.md": SOON, "a/1.md": b"# 1", "a/2.md": b"# 2", "_READY": b""})
    aws.settle()
    for key in aws.keys(f"{JOB}/a/"):
        aws.s3.put_object(
            Bucket=aws.output,
            Key=key,
            Body=aws.output_of(key) + b"A long finding of the model's.\n" * 20_000,
        )
    digested(aws, "a/_digest.md")
    report = aws.output_of(f"{JOB}/a/_digest.md").decode()
    assert yaml.safe_load(report.split("---\n")[1])["parts"] >= 2
    assert not [key for key in aws.keys(f"{DIGESTS}/") if "/parts/" in key]
