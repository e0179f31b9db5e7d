"""Reports are listed and fetched: only what is missing or another, and nothing outside."""

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from handlers.cli.stack import fetch as fetching
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.summary import Summary, render_summary
from shared.domain.totals import Totals
from tests.handlers.cli.stack.deployed import Deployed


def summary(job: str, **counts: int) -> bytes:
    """A job's `summary.json`, with so many documents of each status."""
    documents = Counter({DocumentStatus(status): count for status, count in counts.items()})
    return render_summary(
        Summary(
            job=JobName(job),
            documents=documents,
            totals=Totals(),
            groups={},
            batches=(),
            started_at=None,
            finished_at=None,
            elapsed=timedelta(),
        )
    )


FILES = {
    "one/a.md.md": b"report a",
    "one/deep/b 'q' é.md.md": b"report b",
    "one/summary.json": summary("one", reported=2),
    "one/failures.jsonl": b"",
    "two/c+d%2F.md.md": b"report c",
    "two/summary.json": summary("two", reported=1, failed=1),
}


def put(stack: Deployed, key: str, data: bytes) -> None:
    stack.cloud.s3.put_object(Bucket=stack.cloud.output, Key=key, Body=data)


@pytest.fixture
def published(stack: Deployed) -> Deployed:
    for key, data in FILES.items():
        put(stack, key, data)
    put(stack, "one/.docmill/unwritten/x.md", b"kept aside")
    put(stack, "one/.docmill/rows/k2m9x4q2w8ab.jsonl", b"{}")
    put(stack, "one/notes.pdf", b"somebody's")
    return stack


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_all_jobs_or_one_are_listed(published: Deployed) -> None:
    every = published("reports", "list")
    assert every.out.splitlines() == ["one/a.md.md", "one/deep/b 'q' é.md.md", "two/c+d%2F.md.md"]
    one = published("reports", "list", "--job", "one", "--json")
    assert [line["path"] for line in one.events] == ["a.md.md", "deep/b 'q' é.md.md"]
    assert one.events[0]["size"] == 8


def test_what_is_missing_or_another_is_fetched_and_nothing_else(
    published: Deployed, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("reports", "fetch", "--out", out, "--json")
    [told] = published(*words).events
    assert (told["fetched"], told["there"]) == (6, 0)
    assert files(out) == FILES

    [told] = published(*words).events
    assert (told["fetched"], told["there"]) == (0, 6)

    put(published, "one/a.md.md", b"report A")  # of the same length, in the same second maybe
    (out / "two/c+d%2F.md.md").write_bytes(b"report X")
    (out / "one/failures.jsonl").unlink()
    [told] = published(*words).events
    assert (told["fetched"], told["there"]) == (3, 3)
    assert files(out) == FILES | {"one/a.md.md": b"report A"}

    alone = tmp_path / "alone"
    assert published("reports", "fetch", "--job", "two", "--out", alone).status == 0
    assert files(alone) == {
        "c+d%2F.md.md": b"report c",
        "summary.json": FILES["two/summary.json"],
    }


def test_large_reports_are_fetched_in_pieces(
    published: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "CHUNK_BYTES", 4)
    assert published("reports", "fetch", "--out", tmp_path).status == 0
    assert files(tmp_path) == FILES


def test_a_killed_fetch_leaves_whole_files_and_is_gone_on_with(
    published: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, times = os.utime, []

    def dies(*args: object, **how: object) -> None:
        times.append(args)
        if len(times) > 2:
            raise SystemExit(137)
        plain(*args, **how)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr("handlers.cli.stack.fetch.os.utime", dies)
        published("reports", "fetch", "--out", tmp_path)
    assert len(files(tmp_path)) == 3
    [told] = published("reports", "fetch", "--out", tmp_path, "--json").events
    assert (told["fetched"], told["there"]) == (4, 2)
    assert files(tmp_path) == FILES


def test_no_name_leads_out_of_the_folder(published: Deployed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / "two").symlink_to(tmp_path / "elsewhere")
    put(published, "one/../../../up.md", b"hostile")
    put(published, "one//absolute.md", b"hostile")
    put(published, "in no job.md", b"somebody's")
    done = published("reports", "fetch", "--out", out, "--json")
    assert done.status == 1
    assert done.events[0]["jobs_without_summary"] == 0
    assert done.err.count("docmill: ") == 4
    assert set(files(out)) == {key for key in FILES if key.startswith("one/")} | {"in no job.md"}
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path.parent / "up.md").exists()


def test_nothing_to_fetch_is_said(stack: Deployed, tmp_path: Path) -> None:
    said = stack("reports", "fetch", "--out", tmp_path / "out").said
    assert f"nothing was dropped into {stack.name} yet" in said
    (tmp_path / "file").write_text("")
    assert "is a file" in stack("reports", "fetch", "--out", tmp_path / "file").said
    assert "Not a directory" in _with_reports(stack, tmp_path / "file" / "below")


def _with_reports(stack: Deployed, out: Path) -> str:
    put(stack, "one/a.md.md", b"report a")
    return stack("reports", "fetch", "--out", out).said


@pytest.mark.parametrize("wrong", ["job", "stack"])
def test_what_is_not_there_is_said_and_makes_no_folder(
    published: Deployed, tmp_path: Path, wrong: str
) -> None:
    name = published.name if wrong == "job" else "nosuch"
    job = ("--job", "nope") if wrong == "job" else ()
    for words in (("list",), ("fetch", "--out", tmp_path / "out")):
        done = published.docmill("reports", *words, "--stack", name, *job)
        assert (done.status, done.out) == (2, "")
        there = "has no job nope; there: one, two" if wrong == "job" else "no stack nosuch"
        assert there in done.said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("job", [(), ("--job", "review")])
def test_before_the_end_what_is_under_way_is_said(
    stack: Deployed, tmp_path: Path, job: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    stack.cloud.upload({"review/a.md": b"# A"})
    listed, fetched = (
        stack("reports", *words, *job) for words in (("list",), ("fetch", "--out", out))
    )
    assert (listed.status, listed.out, fetched.status) == (3, "", 3)
    for said in (listed.said, fetched.out):
        assert "no summary of review yet" in said
        assert "up to a day" in said
    assert not out.exists()

    put(stack, "review/summary.json", summary("review", waiting=2, in_batch=3))
    listed = stack("reports", "list", *job)
    assert (listed.status, listed.out) == (3, "")
    assert "2 waiting, 3 in batches" in listed.said
    fetched = stack("reports", "fetch", "--out", out, *job)
    assert fetched.status == 3
    assert "1 file fetched" in fetched.out
    assert "2 waiting, 3 in batches: reports may take up to a day" in fetched.out
    [told] = stack("reports", "fetch", "--out", out, *job, "--json").events
    assert (told["open"], told["jobs_without_summary"]) == (5, 0)

    put(stack, "review/summary.json", summary("review", failed=5))
    listed = stack("reports", "list", *job)
    assert (listed.status, listed.out, listed.err) == (0, "", "")
    assert stack("reports", "fetch", "--out", out, *job).status == 0


def test_reports_of_every_kind_and_tables_are_fetched(stack: Deployed, tmp_path: Path) -> None:
    found = {
        *("a.md.json", "b.md.html", "c.md.txt", "d.md.md", "summary.json"),
        *("results.csv", "results.jsonl", "results.parquet"),
    }
    for name in found:
        put(stack, f"one/{name}", summary("one", reported=4) if "summary" in name else b"x")
    put(stack, "one/.docmill/rows/k2m9x4q2w8ab.jsonl", b"{}")
    stack("reports", "fetch", "--out", tmp_path)
    assert files(tmp_path / "one").keys() == found
