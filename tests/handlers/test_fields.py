"""A recipe with fields on AWS: reports and tables in the bucket, whatever happens meanwhile."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from arro3.io import read_parquet

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from tests.handlers.aws_home import JOB, Cloud, cloud

RECIPE = b"""---
model: claude-opus-4-6
output: json
fields:
  score: {type: integer, minimum: 0, maximum: 100}
  risk: [low, medium, high]
  signed: {type: [string, null], format: date}
---
Review it.

{{ document.text }}
"""


@pytest.fixture
def aws(endpoint: str) -> Iterator[Cloud]:
    settings = SimulatorSettings(duration_s=0.1)
    with running_simulator(settings=settings) as provider, cloud(endpoint, provider) as found:
        found.upload({f"{JOB}/_recipe.md": RECIPE})
        yield found


def drop(aws: Cloud, documents: dict[str, bytes]) -> None:
    aws.upload({f"{JOB}/{path}": data for path, data in documents.items()})
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.settle(seconds=120)
    aws.tick()


def table(aws: Cloud) -> list[dict[str, Any]]:
    lines = aws.output_of(f"{JOB}/results.jsonl").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    text = aws.output_of(f"{JOB}/results.csv").decode("utf-8-sig")
    cells = list(csv.DictReader(io.StringIO(text, newline="")))
    found = read_parquet(aws.output_of(f"{JOB}/results.parquet")).read_all()
    names = [row["document"] for row in rows]
    assert names == [cell["document"] for cell in cells]
    assert names == found.column("document").to_pylist()
    return rows


def test_documents_become_json_reports_and_tables(aws: Cloud) -> None:
    documents = {f"x/{n}.md": b"# %d" % n for n in range(15)}
    drop(aws, documents)
    assert aws.reports() == {f"{path}.json" for path in documents}
    rows = table(aws)
    assert [row["document"] for row in rows] == sorted(documents)
    for row in rows:
        answer = json.loads(aws.output_of(f"{JOB}/{row['document']}.json"))["answer"]
        assert answer == {name: row[name] for name in answer}
    drop(aws, {"x/3.md": b"# another"})
    assert [row["document"] for row in table(aws)] == sorted(documents)
    assert len(aws.paid()) == 16
    head = aws.s3.head_object(Bucket=aws.output, Key=f"{JOB}/results.csv")
    assert head["ContentType"] == "text/csv; charset=utf-8"


def test_collecting_that_runs_out_of_time_leaves_whole_tables(
    aws: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.results._FLUSH_LINES", 3)
    documents = {f"{n}.md": b"# %d" % n for n in range(10)}
    aws.upload({f"{JOB}/{path}": data for path, data in documents.items()})
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    aws.invocation.remaining_ms = 0
    aws.tick()
    aws.invocation.remaining_ms = 300_000
    aws.settle(seconds=120)
    aws.tick()
    assert [row["document"] for row in table(aws)] == sorted(documents)
    assert len(aws.paid()) == 10


def test_another_output_replaces_the_report_of_a_changed_document(aws: Cloud) -> None:
    drop(aws, {"a.md": b"# a", "b.md": b"# b"})
    aws.upload({f"{JOB}/_recipe.md": RECIPE.replace(b"output: json", b"output: text")})
    drop(aws, {"a.md": b"# another"})
    assert aws.reports() == {"a.md.txt", "b.md.json"}
    assert [row["document"] for row in table(aws)] == ["a.md", "b.md"]
    assert len(aws.paid()) == 3
