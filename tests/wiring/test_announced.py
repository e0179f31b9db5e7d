"""Which groups a summary says are finished that the one before it didn't."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from shared.adapters.s3_blobs import obstore_of
from shared.wiring.announced import AnnouncedReports
from tests.aws import environment
from tests.handlers.aws_home import moto_server

Groups = dict[str, tuple[int, int, int]]


@pytest.fixture
def told() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def reports(endpoint: str, told: list[tuple[Any, ...]]) -> Iterator[AnnouncedReports]:
    def announce(event: str, /, **facts: object) -> None:
        told.append((event, *facts.values()))

    name = f"out-{uuid4().hex}"
    with environment():
        s3 = boto3.client("s3", endpoint_url=endpoint)
        region = {"LocationConstraint": s3.meta.region_name}
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=region)
        store = obstore_of(name, client=s3, endpoint=endpoint)
        yield AnnouncedReports(name, client=s3, store=store, announce=announce)
        s3.close()


def summary(groups: Groups) -> bytes:
    """Of waiting, reported and failed documents."""
    content = {
        name: {
            "documents": {
                "total": waiting + reported + failed,
                "waiting": waiting,
                "in_batch": 0,
                "reported": reported,
                "failed": failed,
            },
            "outcomes": {},
        }
        for name, (waiting, reported, failed) in groups.items()
    }
    return json.dumps({"groups": content}).encode()


def test_a_group_is_told_of_when_it_is_finished_and_when_it_is_so_anew(
    reports: AnnouncedReports, told: list[tuple[Any, ...]]
) -> None:
    steps: list[tuple[Groups, list[tuple[Any, ...]]]] = [
        ({"a": (2, 0, 0), "b": (0, 1, 0)}, [("group_finished", "job", "b", 1, 0)]),
        ({"a": (1, 1, 0), "b": (0, 1, 0)}, []),
        ({"a": (0, 1, 1), "b": (0, 1, 0)}, [("group_finished", "job", "a", 1, 1)]),
        ({"a": (0, 1, 1), "b": (0, 1, 0)}, []),
        ({"a": (0, 2, 0), "b": (1, 1, 0)}, [("group_finished", "job", "a", 2, 0)]),
        ({"a": (0, 2, 0), "b": (0, 2, 0), "c": (0, 0, 0)}, [("group_finished", "job", "b", 2, 0)]),
    ]
    for groups, wanted in steps:
        told.clear()
        data = summary(groups)
        reports.write_many([("job/a.md", b"a report"), ("job/summary.json", data)])
        assert told == wanted
        assert reports.read("job/summary.json") == data
    assert reports.read("job/a.md") == b"a report"


@pytest.mark.parametrize("there", [b"", b"[]", b"{}", b'{"groups": {"a": 1}}', b"\xff"])
def test_what_is_no_summary_is_written_over(
    reports: AnnouncedReports, told: list[tuple[Any, ...]], there: bytes
) -> None:
    reports.write_many([("job/summary.json", there)])
    reports.write_many([("job/summary.json", summary({"a": (0, 1, 0)}))])
    assert told == [("group_finished", "job", "a", 1, 0)]


def test_a_summary_is_a_jobs_own_and_no_report_of_that_name(
    reports: AnnouncedReports, told: list[tuple[Any, ...]]
) -> None:
    reports.write_many([("job/deep/summary.json", summary({"a": (0, 1, 0)}))])
    assert told == []
