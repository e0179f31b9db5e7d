"""How the way of documents is written into the log."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.document import Content, Document, DocumentStatus
from shared.domain.ids import JobName
from shared.domain.names import MAX_PATH_BYTES
from shared.wiring.followed import SEEN, Followed

MOST_BYTES = 256_000
"""Of a log line. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""

Lines = list[tuple[str, dict[str, Any]]]


class Log:
    def __init__(self) -> None:
        self.lines: Lines = []

    def info(self, event: str, **facts: object) -> None:
        self.lines.append((event, facts))


def document(path: str, job: str = "legal", etag: str = "e1") -> Document:
    return Document(
        job=JobName(job),
        path=path,
        group="",
        content=Content(source=path, etag=etag, size=1),
        status=DocumentStatus.WAITING,
        since=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def log() -> Log:
    return Log()


def test_uploads_that_come_one_at_a_time_share_a_line_for_each_job(log: Log) -> None:
    followed = Followed(log)
    found = [document("a.md"), document("b.md", job="web"), document("c d.md")]
    for each in found:
        followed(SEEN, [each])
    assert log.lines == []
    followed.flush()
    a, b, c = (each.correlation_id for each in found)
    assert log.lines == [
        (SEEN, {"job": "legal", "documents": f"{a} a.md\n{c} c d.md"}),
        (SEEN, {"job": "web", "documents": f"{b} b.md"}),
    ]
    followed.flush()
    assert len(log.lines) == 2


def test_a_step_is_told_at_once_with_its_facts(log: Log) -> None:
    found = [document("a.md"), document("b.md")]
    Followed(log)("documents_claimed", iter(found), batch="k2m9x4q2w8ab")
    ids = " ".join(each.correlation_id for each in found)
    assert log.lines == [("documents_claimed", {"batch": "k2m9x4q2w8ab", "correlation_ids": ids})]


def test_nothing_is_told_of_no_documents(log: Log) -> None:
    followed = Followed(log)
    followed("documents_claimed", [], batch="b")
    followed(SEEN, [])
    followed.flush()
    assert log.lines == []


@pytest.mark.parametrize("step", [SEEN, "documents_claimed"])
@pytest.mark.parametrize("letter", ["a", "ü", "合", "😀"])
def test_no_line_is_longer_than_cloudwatch_takes_and_none_is_left_out(
    log: Log, step: str, letter: str
) -> None:
    size = len(letter.encode())
    name = letter * ((MAX_PATH_BYTES - 5) // size)
    found = [document(f"{n:04d}{name}") for n in range(1_100)]
    followed = Followed(log)
    followed(step, found)
    followed.flush()
    text = [json.dumps(facts) for _, facts in log.lines]
    assert max(map(len, text)) < MOST_BYTES
    assert all(any(each.correlation_id in line for line in text) for each in found)
