"""Reports are listed and fetched: only what is missing or another, and nothing outside."""

import os
from pathlib import Path

import pytest

from handlers.cli.stack import fetch as fetching
from tests.handlers.cli.stack.deployed import Deployed

FILES = {
    "one/a.md.md": b"report a",
    "one/deep/b 'q' é.md.md": b"report b",
    "one/summary.json": b"{}",
    "one/failures.jsonl": b"",
    "two/c+d%2F.md.md": b"report c",
}


def put(stack: Deployed, key: str, data: bytes) -> None:
    stack.cloud.s3.put_object(Bucket=stack.cloud.output, Key=key, Body=data)


@pytest.fixture
def published(stack: Deployed) -> Deployed:
    for key, data in FILES.items():
        put(stack, key, data)
    put(stack, "one/.docmill/unwritten/x.md", b"kept aside")
    put(stack, "one/notes.txt", b"somebody's")
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
    assert (told["fetched"], told["there"]) == (5, 0)
    assert files(out) == FILES

    [told] = published(*words).events
    assert (told["fetched"], told["there"]) == (0, 5)

    put(published, "one/a.md.md", b"report A")  # of the same length, in the same second maybe
    (out / "two/c+d%2F.md.md").write_bytes(b"report X")
    (out / "one/failures.jsonl").unlink()
    [told] = published(*words).events
    assert (told["fetched"], told["there"]) == (3, 2)
    assert files(out) == FILES | {"one/a.md.md": b"report A"}

    alone = tmp_path / "alone"
    assert published("reports", "fetch", "--job", "two", "--out", alone).status == 0
    assert files(alone) == {"c+d%2F.md.md": b"report c"}


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
    assert (told["fetched"], told["there"]) == (3, 2)
    assert files(tmp_path) == FILES


def test_no_name_leads_out_of_the_folder(published: Deployed, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / "two").symlink_to(tmp_path / "elsewhere")
    put(published, "one/../../../up.md", b"hostile")
    put(published, "one//absolute.md", b"hostile")
    done = published("reports", "fetch", "--out", out)
    assert done.status == 1
    assert done.err.count("docmill: ") == 3
    assert set(files(out)) == {key for key in FILES if key.startswith("one/")}
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path.parent / "up.md").exists()


def test_nothing_to_fetch_is_said(stack: Deployed, tmp_path: Path) -> None:
    assert "no reports below" in stack("reports", "fetch", "--out", tmp_path / "out").said
    (tmp_path / "file").write_text("")
    assert "is a file" in stack("reports", "fetch", "--out", tmp_path / "file").said
