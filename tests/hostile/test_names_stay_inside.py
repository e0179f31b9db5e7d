"""Names from outside never lead out of the output, into docmill's own files, or onto each other."""

# pathlib repairs some of the names that are meant here.
# ruff: noqa: PTH118, PTH208, E501

import asyncio
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.folder_blobs import FolderBlobs
from shared.adapters.s3_blobs import s3_blobs
from shared.domain.document import Document, DocumentStatus
from shared.domain.names import InvalidName, check_path, report_path
from shared.ports.blobs import Blob, BlobError
from tests.adapters.bucket_server import bucket_server, new_bucket
from tests.app.home import Home

KINDS: dict[str, tuple[str, ...]] = {
    "dots": ("..", "../x", "a/../../b", "a/../b", "../../../../../../tmp/x", "./x", "a/.", "...", "a/.../b"),
    "absolute": ("/x", "/etc/passwd", "//x", "///", "~/x", "~root/x", "file:///etc/passwd"),
    "empty segments": ("", "a//b", "a/", "/", "a/b//"),
    "NUL and controls": ("a\x00", "a\x00/../b", "\x00", "a\n", "a\r\nb", "\x1b[2J", "\x7f", "\x85"),
    "backslashes": ("..\\x", "a\\..\\..\\b", "\\\\host\\share", "C:\\x", "\\"),
    "Windows": ("CON", "con.txt", "nul", "AUX.md", "COM1", "a:b", "C:", "C:x", "a?", "a*", "a|b", "<a>"),
    "blanks and dots at the end": ("a.", "a ", "a. .", " a", ".a", "a/b. /c", " ", "\u00a0", "\u3000"),
    "look-alikes": ("․․/x", "‥/x", "…/x", "a／b", "．．/x", "a⁄b", "∕x", "%2e%2e/x", "%2e%2e%2fx", "..%2fx"),
    "normal forms": ("é", "e\u0301", "Å", "\u212b", "A\u030a", "ﬁ", "fi", "Ⅸ", "IX", "\u1e9b\u0323"),
    "direction and width": ("\u202egpj", "a\u2066b", "\u200b", "a\u200bb", "\ufeffa", "\u200f", "a\u00ad"),
    "case": ("readme", "README", "Readme", "ß", "SS", "ı", "i", "I", "İ", "ſ", "s", "K", "\u212a"),
    "long": ("x" * 200, "x" * 201, "x" * 256, "é" * 128, "x/" * 449 + "x", "x/" * 500, "x" * 1024, "🎉" * 60),
    "docmill's own": (
        *("failures.jsonl", "summary.json", ".docmill", ".docmill/state.db", ".DOCMILL/state.db"),
        *(".docmill/lock", "failures.jsonl/x", "summary.json/x", "SUMMARY.JSON/x", "_recipe.md", "_READY"),
        *(".docmill-0123456789abcdef-0", "x/.docmill/state.db", ".docmıll/x", ".docmill./x", ".docmill /x"),
    ),
    "shell and markup": ("-rf", "$(id)", "`id`", ";id", "<b>", "{{x}}", "%s", "{0}", "'", '"', "#", "&", "|"),
    "not Unicode": ("\ud800", "a\udcff", "\udc80/../x", "\ufffe", "\uffff", "\U0010ffff"),
}  # fmt: skip
CORPUS = [name for names in KINDS.values() for name in names]
ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "\x00", "a", "é", "…", "․", " ", "~", ":", "x" * 130]
)
NAMES = st.one_of(ANY_TEXT, st.lists(PIECES, max_size=12).map("".join), st.sampled_from(CORPUS))


def everything(folder: Path) -> set[str]:
    """All files and folders below, whatever they are called."""
    found = set()
    for above, folders, files in os.walk(folder):
        found |= {os.path.relpath(os.path.join(above, name), folder) for name in folders + files}
    return found


def usable(name: str) -> bool:
    try:
        check_path(name)
    except InvalidName:
        return False
    return True


def check_job_is_whole(documents: dict[str, Document]) -> None:
    assert {d.status for d in documents.values()} <= {
        DocumentStatus.REPORTED,
        DocumentStatus.FAILED,
    }
    for document in documents.values():
        if document.failure is not None:
            assert document.failure.message.isprintable()


def test_every_row_of_the_corpus_is_a_report_inside_the_output_or_a_failure(home: Home) -> None:
    rows = [json.dumps({"id": name, "text": f"text of {n}"}) for n, name in enumerate(CORPUS)]
    home.write("rows.jsonl", "\n".join(rows))
    before = everything(home.root)
    home.see()
    asyncio.run(home.finish())
    documents = home.documents()
    check_job_is_whole(documents)
    reported = {path for path, d in documents.items() if d.status is DocumentStatus.REPORTED}
    assert reported == {name for name in CORPUS if usable(name) and name.strip()}
    assert len(documents) == len(CORPUS)
    made = {name for name in everything(home.root) - before if not name.endswith("spool")}
    files = {name for name in made if (home.root / name).is_file()}
    own = {"output/failures.jsonl", "output/summary.json"}
    assert files == own | {f"output/{report_path(path)}" for path in reported}
    for path in reported:
        header = (home.report(path) or "").split("\n---\n")[0].removeprefix("---\n")
        assert yaml.safe_load(header)["document"] == path


@given(NAMES)
@settings(max_examples=400)
@example("a" * 200)
@example("/".join(["a" * 99] * 9))
def test_a_name_that_is_let_through_is_one_file_below_the_root(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    if not usable(name):
        return
    root = tmp_path_factory.getbasetemp() / "generated" / "output"
    key = report_path(name)
    blobs = FolderBlobs(root)
    blobs.write_many([(key, b"1")])
    assert blobs.read(key) == b"1"
    target = os.path.realpath(root / key)
    assert target == os.path.join(os.path.realpath(root), key)
    assert os.listdir(root.parent) == ["output"]
    blobs.delete(key)


@given(NAMES)
@settings(max_examples=400)
def test_even_a_name_that_nobody_checked_stays_below_the_root(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "unchecked" / "a" / "output"
    blobs = FolderBlobs(root)
    with suppress(BlobError):
        blobs.write_many([(name, b"1")])
    inside = {f"a/output/{found}" for found in everything(root)}
    assert everything(root.parents[1]) <= {"a", "a/output"} | inside
    shutil.rmtree(root, ignore_errors=True)


def test_every_report_of_the_corpus_is_one_object_below_its_job() -> None:
    keys = {f"job/{report_path(name)}": name.encode() for name in CORPUS if usable(name)}
    with bucket_server() as client:
        bucket = s3_blobs(new_bucket(client), client=client, retries=0)
        bucket.write_many(keys.items())
        assert [blob.key for blob in bucket.list() if isinstance(blob, Blob)] == sorted(keys)
        assert list(bucket.read_many(list(keys))) == list(keys.values())


@pytest.mark.parametrize("place", ["a", "a/b", "a/b/c.md.md", "a.md.md", "failures.jsonl"])
@pytest.mark.parametrize("target", ["outside", "outside/file", "nowhere", "/etc/hostname", "."])
def test_links_planted_in_the_output_lead_no_report_out_of_it(
    home: Home, place: str, target: str
) -> None:
    outside = home.root / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    link = home.root / "output" / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target if target.startswith(("/", ".")) else home.root / target)
    for name in ("a/b/c.md", "a.md", "z.md"):
        home.write(name, f"text of {name}")
    home.see()
    asyncio.run(home.finish())
    check_job_is_whole(home.documents())
    assert home.report("z.md")
    assert everything(outside) == {"file"}
    assert (outside / "file").read_text() == "untouched"
    assert not (home.root / "nowhere").exists()
    for path, document in home.documents().items():
        written = home.root / "output" / report_path(path)
        if document.status is DocumentStatus.REPORTED:
            assert written.is_file()
            assert not written.is_symlink()
