"""Files of a person become documents of a stack."""

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.cli.stack import drop as dropping
from handlers.cli.stack import sameness
from shared.adapters import s3_blobs
from tests.handlers.cli.stack.deployed import RECIPE, Deployed

AWKWARD = (
    "two  spaces/ leading.md",
    "quotes/\"double\" and 'single'.md",
    "合同/采购 协议（终稿）.txt",
    "signs/a+b %2F 100% & c=d?e#f.md",
    "accents/cafe\u0301 Müller.md",
    "a-b/before.md",
    "a/after.md",
    "no extension",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents of awkward names, and what isn't one."""
    root = tmp_path / "in"
    for number, name in enumerate((*AWKWARD, ".hidden", ".git/config", "deep/_READY")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# Document {number}\n")
    (root / "linked.md").symlink_to(root / "no extension")
    (root / "linked folder").symlink_to(root / "a")
    (root / "_recipe.md").write_text(RECIPE)
    return root


def test_documents_go_from_a_folder_to_reports_in_a_folder(
    stack: Deployed, folder: Path, tmp_path: Path
) -> None:
    done = stack("drop", folder, "--job", "review", "--ready")
    assert (done.status, done.err) == (0, "")
    assert "9 files: 9 uploaded" in done.out
    paths = {*AWKWARD, "linked.md"}
    folders = {path.rpartition("/")[0] for path in paths}
    markers = {f"{each}/_READY".lstrip("/") for each in folders}
    assert set(stack.inputs()) == {f"review/{p}" for p in paths | markers | {"_recipe.md"}}

    shown = stack("status")
    assert shown.status == 3
    assert "nothing is published of it yet" in shown.out
    assert "uploads to be taken in" in shown.out

    assert stack.cloud.take_uploads() == []
    stack.cloud.settle("review")
    shown = stack("status")
    assert (shown.status, shown.err) == (0, "")
    assert "reported: 9" in shown.out
    assert "9 of 9 documents reported" in shown.out
    told = stack("status", "--job", "review", "--json").events[0]
    assert told["documents"]["reported"] == told["documents"]["total"] == 9
    assert (told["stale"], told["dead_letters"]) == (False, {"uploads": 0, "collects": 0})

    listed = stack("reports", "list", "--job", "review")
    assert set(listed.out.splitlines()) == {f"{path}.md" for path in paths}
    out = tmp_path / "out"
    assert stack("reports", "fetch", "--job", "review", "--out", out).status == 0
    fetched = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert fetched == {f"{path}.md" for path in paths} | {"summary.json", "failures.jsonl"}
    for path in paths:
        assert (out / f"{path}.md").read_bytes() == stack.cloud.output_of(f"review/{path}.md")


def test_what_is_there_is_not_uploaded_again_and_what_changed_is(
    stack: Deployed, folder: Path
) -> None:
    assert stack("drop", folder, "--job", "review").status == 0
    before = stack.versions(stack.cloud.input)
    done = stack("drop", folder, "--job", "review", "--json")
    [told] = done.events
    assert (done.status, told["uploaded"], told["there"]) == (0, 0, 9)
    assert stack.versions(stack.cloud.input) == before

    (folder / "a/after.md").write_text("# Document X\n")  # of the same length
    [told] = stack("drop", folder, "--job", "review", "--json").events
    assert (told["uploaded"], told["there"]) == (1, 8)


def test_many_files_are_compared_with_a_listing_of_what_is_there(
    stack: Deployed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropping, "_FEW", 0)
    assert stack("drop", folder, "--job", "review").status == 0
    (folder / "a-b/before.md").unlink()
    (folder / "zz").mkdir()
    (folder / "zz/new.md").write_text("# New")
    [told] = stack("drop", folder, "--job", "review", "--json").events
    assert (told["uploaded"], told["there"]) == (1, 8)
    [told] = stack("drop", folder / "a", "--job", "review", "--group", "a", "--json").events
    assert (told["uploaded"], told["there"]) == (0, 1)


def test_few_files_among_many_objects_are_looked_up_one_by_one(
    stack: Deployed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack("drop", folder, "--job", "review").status == 0
    stack.cloud.upload({f"review/m{n:02}.md": b"# M" for n in range(12)})
    monkeypatch.setattr(dropping, "_FEW", 9)
    [told] = stack("drop", folder, "--job", "review", "--json").events
    assert (told["uploaded"], told["there"]) == (0, 9)


def test_large_files_go_up_in_parts_and_are_known_again(stack: Deployed, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(os.urandom(s3_blobs.PART_BYTES + 1000))
    assert stack("drop", large, "--group", "big/ones").status == 0
    [(key, etag)] = stack.inputs().items()
    assert key == "project-analysis/big/ones/large.txt"
    assert etag.endswith('-2"')
    with stack.cloud.s3.get_object(Bucket=stack.cloud.input, Key=key)["Body"] as body:
        assert body.read() == large.read_bytes()
    [told] = stack("drop", large, "--group", "big/ones", "--json").events
    assert (told["uploaded"], told["there"]) == (0, 1)


def test_where_the_etag_says_nothing_the_sha256_does(
    stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a KMS key: here no ETag is what it would be."""
    s3, place = stack.cloud.s3, {"Bucket": stack.cloud.input, "Key": "project-analysis/a.md"}
    (tmp_path / "a.md").write_text("# A")
    plain = sameness.digests

    def without_etags(pieces: Iterable[bytes], size: int) -> sameness.Digests:
        return replace(plain(pieces, size), etags=frozenset())

    monkeypatch.setattr(dropping, "digests", without_etags)
    s3.put_object(**place, Body=b"# A", ChecksumAlgorithm="SHA256")
    [told] = stack("drop", tmp_path / "a.md", "--json").events
    assert (told["uploaded"], told["there"]) == (0, 1)
    s3.put_object(**place, Body=b"# B", ChecksumAlgorithm="SHA256")
    [told] = stack("drop", tmp_path / "a.md", "--json").events
    assert (told["uploaded"], told["there"]) == (1, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--job", ".."), 'it contains the segment ".."'),
        (("--job", "a/b"), "holds a slash"),
        (("--job", "j" * 121), "longer than 118 bytes"),
        (("--group", "../up"), 'it contains the segment ".."'),
        (("--group", ".hidden"), "is hidden"),
        (("--recipe", "recipe.md"), "of which job?"),
        (("--job", "j", "--recipe", "nowhere.md"), "no recipe nowhere.md"),
    ],
)
def test_what_could_not_be_taken_is_refused_before_anything_is_uploaded(
    stack: Deployed, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "a.md").write_text("# A")
    done = stack("drop", tmp_path / "a.md", *words)
    assert done.status == 2
    assert said in done.said
    assert stack.inputs() == {}


def test_one_bad_name_keeps_all_from_being_uploaded(stack: Deployed, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "good.md").write_text("# Good")
    (root / "line\nend.md").write_text("# Bad")
    done = stack("drop", root)
    assert done.status == 2
    assert "nothing was uploaded" in done.said
    assert "control character U+000A" in done.said
    other = tmp_path / "good.md"
    other.write_text("# Another")
    (root / "line\nend.md").unlink()
    done = stack("drop", root, other)
    assert "two files for good.md" in done.said
    assert stack.inputs() == {}


def test_a_faulty_recipe_is_refused_and_a_recipe_goes_up_once(
    stack: Deployed, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("# A")
    recipe = tmp_path / "review.md"
    recipe.write_text("---\nmodel: claude-opus-4-6\nmax_token: 5\n---\n{{ document.text }}\n")
    words = ("drop", tmp_path / "a.md", "--job", "j", "--recipe", recipe)
    assert "max_token" in stack(*words).said
    assert stack.inputs() == {}
    recipe.write_text(RECIPE)
    assert stack(*words).status == 0
    assert set(stack.inputs()) == {"j/_recipe.md", "j/a.md"}
    count = stack.versions(stack.cloud.input)
    assert stack(*words).status == 0
    assert stack.versions(stack.cloud.input) == count


def test_the_recipe_for_digests_goes_up_and_its_job_can_be_looked_at(
    stack: Deployed, tmp_path: Path
) -> None:
    root = tmp_path / "in"
    (root / "a").mkdir(parents=True)
    (root / "a/one.md").write_text("# One")
    (root / "_recipe.md").write_text(RECIPE)
    second = "---\nmodel: claude-haiku-4-5\nmax_wait: 1s\n---\nRank these.\n{{ document.text }}\n"
    (root / "_digest.md").write_text(second.replace("model:", "modl:"))
    words = ("drop", root, "--job", "j", "--ready")
    refused = stack(*words)
    assert refused.status == 2
    assert "nothing was uploaded" in refused.said
    assert stack.inputs() == {}
    (root / "_digest.md").write_text(second)
    assert stack(*words).status == 0
    assert {"j/_recipe.md", "j/_digest.md", "j/a/one.md"} <= set(stack.inputs())
    other = tmp_path / "other.md"
    other.write_text(second.replace("max_wait", "max_cost: 0.000001\nmax_wait"))
    assert stack(*words, "--digest", other).status == 0
    assert (
        stack.cloud.s3.get_object(Bucket=stack.cloud.input, Key="j/_digest.md")["Body"].read()
        == other.read_bytes()
    )

    digests = "j/.docmill/digest"
    stack.cloud.take_uploads()
    stack.cloud.settle("j")
    assert stack("status", "--job", "j").status == 0
    until_status(stack, digests, 1)
    assert "may cost" in stack.cloud.failures(digests)[0]["message"]
    stack.cloud.s3.put_object(
        Bucket=stack.cloud.input, Key="j/_digest.md", Body=other.read_bytes()[:-1]
    )
    for messages in stack.cloud.taken(stack.cloud.uploads):  # nobody hears of it
        for each in messages:
            stack.cloud.sqs.delete_message(
                QueueUrl=stack.cloud.uploads, ReceiptHandle=each["ReceiptHandle"]
            )
    retried = stack("retry", "--job", digests, "--yes")
    assert retried.status == 3
    assert "1 failed document of" in retried.out
    assert "1 document, about" in retried.out
    stack.cloud.s3.put_object(Bucket=stack.cloud.input, Key="j/_digest.md", Body=second.encode())
    stack.cloud.take_uploads()
    until_status(stack, digests, 0)
    assert "j/a/_digest.md" in stack.cloud.keys("j/a/")
    listed = stack("reports", "list", "--job", "j")
    assert listed.out.splitlines() == ["a/_digest.md", "a/one.md.md"]
    assert stack("retry", "--job", digests).status == 0
    assert stack("status", "--job", "k/.docmill/digest").status == 2
    assert stack("drop", root, "--job", digests).status == 2


def until_status(stack: Deployed, job: str, wanted: int) -> None:
    deadline = time.monotonic() + 60
    while stack("status", "--job", job).status != wanted:
        assert time.monotonic() < deadline
        stack.cloud.tick()
        time.sleep(0.2)


def test_a_job_without_a_recipe_is_said_to_wait(stack: Deployed, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    done = stack("drop", tmp_path / "a.md", "--job", "minutes")
    assert done.status == 0
    assert "job minutes has no recipe" in done.said


RESERVED = ["_unplaced", "summary.json", "FAILURES.jsonl", ".docmill", "_READY", "_recipe.md", ""]


@pytest.mark.parametrize("job", RESERVED)
def test_names_that_docmill_needs_are_no_jobs(stack: Deployed, folder: Path, job: str) -> None:
    for words in (("drop", folder), ("backfill", f"s3://{stack.cloud.input}/old")):
        done = stack(*words, "--job", job)
        assert done.status == 2
        assert ("keeps the name" if job else "it is empty") in done.said
    assert stack.inputs() == {}


def test_what_failed_outside_any_job_can_be_looked_at(stack: Deployed, folder: Path) -> None:
    failures = {"Key": "_unplaced/failures.jsonl", "Body": b"{}\n"}
    stack.cloud.s3.put_object(Bucket=stack.cloud.output, **failures)
    assert stack("status", "--job", "_unplaced").status == 3
    assert stack("reports", "fetch", "--job", "_unplaced", "--out", folder).status == 3
    assert (folder / "failures.jsonl").read_bytes() == b"{}\n"


def test_a_manifest_stays_one(stack: Deployed, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,text\none,first\ntwo,second\n")
    (tmp_path / "list.json").write_text('[{"id": "three"}]')
    (tmp_path / "document.json").write_text('{"id": "none"}')
    names = ("rows.csv", "list.json", "document.json")
    assert stack("drop", *(tmp_path / name for name in names)).status == 0
    assert {key.rpartition("/")[2] for key in stack.inputs()} == {
        "rows.manifest.csv",
        "list.manifest.json",
        "document.json",
    }
