"""Archives and folders that are one document, from upload to report in the AWS home on moto."""

import io
import random
from collections.abc import Iterator

import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from handlers import intake
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from shared.wiring.aws import home
from tests.archives import KINDS, packed, zipped
from tests.handlers.aws_home import JOB, Cloud, Invocation, cloud, sqs_event

RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
{keys}
---
Review:

{{{{ document.text }}}}
"""


@pytest.fixture
def provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=0.2)) as running:
        yield running


@pytest.fixture
def aws(endpoint: str, provider: Running) -> Iterator[Cloud]:
    with cloud(endpoint, provider) as found:
        yield found


def upload(aws: Cloud, documents: dict[str, bytes], keys: str = "description: none") -> None:
    aws.upload({f"{JOB}/_recipe.md": RECIPE.format(keys=keys).encode()})
    assert aws.take_uploads() == []
    aws.upload({f"{JOB}/{path}": data for path, data in documents.items()})


def finish(aws: Cloud, marker: str = "_READY") -> None:
    assert aws.take_uploads() == []
    aws.upload({f"{JOB}/{marker}": b""})
    assert aws.take_uploads() == []
    aws.settle()


def test_archives_are_documents_by_range_and_by_stream(aws: Cloud) -> None:
    def files(kind: str) -> dict[str, str | bytes]:
        return {
            ".gitignore": "*.log\n",
            "a.py": f"print('{kind}', 1)",
            "sub/b.py": f"print('{kind}', 2)",
            "c.log": "noise",
        }

    upload(aws, {f"{kind}/{kind}": packed(kind, files(kind)) for kind in KINDS})
    finish(aws)
    assert aws.reports() == {
        f"{kind}/{kind}/{path}.md" for kind in KINDS for path in ("a.py", "sub/b.py")
    }
    assert aws.failures() == []
    assert len(aws.paid()) == 2 * len(KINDS)
    aws.upload({f"{JOB}/a.zip/a.zip": packed("a.zip", {**files("a.zip"), "a.py": "changed"})})
    finish(aws)
    assert len(aws.paid()) == 2 * len(KINDS) + 1


def test_an_archive_beyond_the_time_of_one_invocation_is_gone_on_with(aws: Cloud) -> None:
    rng = random.Random(1)
    files = {f"{n:04}.md": f"text {rng.random()}" for n in range(1100)}
    upload(aws, {"long.zip": zipped(files), "long.tgz": packed("a.tgz", {"x.md": "y"})})
    rounds = 0
    while True:
        messages = next(aws.taken(aws.uploads), None)
        if messages is None:
            break
        for message in messages:
            rounds += 1
            assert (
                aws.invoke(
                    lambda event, _: intake.handler(event, Invocation(remaining_ms=1)),
                    aws.uploads,
                    [message],
                )
                == []
            )
    assert rounds >= 4
    with_archive = {document.path for document in home().store.all_documents(JOB)}  # type: ignore[arg-type]
    assert with_archive == {f"long.zip/{name}" for name in files} | {"long.tgz/x.md"}


def test_a_folder_comes_in_any_order_and_is_sent_whole_once(aws: Cloud) -> None:
    parts = {f"acme/annexes/{n}.md": f"annex {n}".encode() for n in range(12)}
    upload(aws, {"acme/contract.md": b"contract", **parts}, "documents: folder")
    arrived = [message for messages in aws.taken(aws.uploads) for message in messages]
    random.Random(2).shuffle(arrived)
    for message in (*arrived, *arrived[:5]):
        intake.handler(sqs_event([message]), aws.invocation)
    finish(aws)
    assert aws.reports() == {"acme.md"}
    assert len(aws.paid()) == 1
    aws.upload({f"{JOB}/acme/annexes/late.md": b"a late annex"})
    finish(aws, "acme/_READY")
    assert aws.reports() == {"acme.md"}
    assert len(aws.paid()) == 2


def test_broken_archives_fail_in_their_row(aws: Cloud) -> None:
    upload(aws, {"no.zip": b"no zip", "cut.tgz": packed("a.tgz", {"a": "b"})[:-9], "fine.md": b"x"})
    finish(aws)
    assert aws.reports() == {"fine.md.md"}
    assert {failure["path"]: failure["type"] for failure in aws.failures()} == {
        "no.zip": "invalid_archive",
        "cut.tgz": "invalid_archive",
    }


def test_rows_of_parquet_are_documents_that_are_read_again_by_their_place(aws: Cloud) -> None:
    target = io.BytesIO()
    ids = Array([f"row/{number}" for number in range(40)], type=DataType.string())
    text = Array([f"text {number}" for number in range(40)], type=DataType.string())
    write_parquet(Table.from_pydict({"id": ids, "text": text}), target, max_row_group_size=15)
    upload(aws, {"rows.parquet": target.getvalue(), "no.parquet": b"id,text\n1,2\n"})
    finish(aws)
    assert aws.reports() == {f"row/{number}.md" for number in range(40)}
    assert [failure["path"] for failure in aws.failures()] == ["no.parquet"]
    aws.upload({f"{JOB}/rows.parquet": target.getvalue()})
    finish(aws)
    assert len(aws.paid()) == 40
