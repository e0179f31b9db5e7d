"""Archives become a document for each of their files, or one: read as streams, paid for once."""

import asyncio
from dataclasses import replace

import pytest

from shared.app.contents import read_contents
from shared.app.intake import take_in
from shared.app.sightings import sightings_of
from shared.app.submit import submit
from shared.app.uploads import Upload, take_together, take_upload
from shared.domain.document import DocumentStatus
from shared.domain.policy import Policy
from tests.app.home import JOB, Home
from tests.archives import KINDS, packed, recipe, tarred, zipped

REPOSITORY: dict[str, str | bytes] = {
    "src/main.py": "print('hello')\n",
    "src/debug.log": "noise",
    "src/keep.log": "kept",
    "src/.gitignore": "!keep.log\n",
    ".gitignore": "*.log\n/build/\n",
    "build/out.txt": "made",
    "node_modules/left-pad/index.js": "x",
    "package-lock.json": "{}",
    "logo.png": b"\x89PNG\r\n\x1a\n",
    ".env": "SECRET=1",
    "README.md": "# Hello\n",
    "package.json": "{}",
}
TAKEN = ("README.md", "package.json", "src/keep.log", "src/main.py")


def finish(home: Home) -> None:
    asyncio.run(home.finish())


def read_all(home: Home) -> dict[str, str]:
    """The text of everything that waits, in the order in which it is packed."""
    found = {}
    for group in list(home.store.groups(JOB)):
        waiting = home.store.waiting(JOB, group.name)
        for document, content in read_contents(home.deps, waiting, home.recipe):
            assert not hasattr(content, "message"), content
            found[document.path] = content.input.text
    return found


@pytest.mark.parametrize("name", KINDS)
def test_each_file_that_somebody_wrote_is_a_document(home: Home, name: str) -> None:
    home.write(f"code/{name}", packed(name, REPOSITORY))
    assert home.see().new == len(TAKEN)
    assert {document.group for document in home.documents().values()} == {"code"}
    assert read_all(home) == {f"code/{name}/{path}": REPOSITORY[path] for path in TAKEN}
    finish(home)
    for path in TAKEN:
        assert home.report(f"code/{name}/{path}") is not None
    assert home.requested() == len(TAKEN)
    assert home.see().unchanged == len(TAKEN)


@pytest.mark.parametrize("name", KINDS)
def test_or_all_of_it_is_one_document_that_says_what_is_in_it(home: Home, name: str) -> None:
    home.recipe = recipe("archives: document")
    home.write(f"code/{name}", packed(name, REPOSITORY))
    assert home.see().new == 1
    [(path, text)] = read_all(home).items()
    assert path == f"code/{name}"
    listed = [line for line in text.splitlines() if line.startswith("## ")]
    assert listed == [f"## {each}" for each in TAKEN]
    assert (
        "Left out: 3 hidden, 2 ignored by .gitignore, 1 images, media or binaries, "
        "1 in folders of other people's code, 1 lock files."
    ) in text
    assert "print('hello')" in text
    assert "SECRET" not in text
    finish(home)
    assert home.report(f"code/{name}") is not None
    assert home.see().unchanged == 1
    finish(home)
    assert home.requested() == 1


@pytest.mark.parametrize("name", KINDS)
def test_of_an_archive_that_changed_only_what_changed_is_sent_again(home: Home, name: str) -> None:
    files = {"a.md": "one", "b.md": "two", "c.md": "three"}
    home.write(name, packed(name, files))
    home.see()
    finish(home)
    del files["c.md"]
    home.write(name, packed(name, {"new.md": "four", **files, "b.md": "TWO"}))
    taken = home.see()
    assert (taken.new, taken.changed, taken.unchanged) == (1, 1, 1)
    finish(home)
    assert home.requested() == 3 + 2


def test_an_archive_of_documents_may_have_folders_that_code_would_have_elsewhere(
    home: Home,
) -> None:
    home.write("a.zip", zipped({"vendor/acme.md": "a", "dist/x.lock": "b", "__MACOSX/._x": "c"}))
    home.see()
    assert set(home.documents()) == {"a.zip/vendor/acme.md", "a.zip/dist/x.lock"}


def test_an_archive_is_taken_in_by_several_who_go_on(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(reports_by_job=True))
    for name in ("a.zip", "a.tar.gz"):
        home.write(f"legal/{name}", packed(name, {f"{n:04}.md": f"text {n}" for n in range(1200)}))
        pieces = 0
        upload: Upload | None = Upload(key=f"legal/{name}")
        while upload is not None:
            upload = take_upload(home.deps, upload, until=home.now).left
            pieces += 1
        assert pieces == 3
    assert len(home.documents()) == 2400


def test_an_archive_that_is_uploaded_is_read_by_whoever_has_time_for_it(home: Home) -> None:
    home.write("legal/a.zip", zipped({"a.md": "text"}))
    home.write("legal/b.md", "text")
    _, done = take_together(home.deps, ["legal/a.zip", "legal/b.md"])
    assert done == {"legal/b.md"}
    take_upload(home.deps, Upload(key="legal/a.zip"))
    assert set(home.documents()) == {"a.zip/a.md", "b.md"}


def test_an_archive_that_is_removed_before_it_was_submitted_is_not_sent(home: Home) -> None:
    home.write("legal/a.zip", zipped({"a.md": "text"}))
    take_upload(home.deps, Upload(key="legal/a.zip"))
    (home.root / "input/legal/a.zip").unlink()
    take_upload(home.deps, Upload(key="legal/a.zip"))
    asyncio.run(home.finish_group("legal/_READY"))
    assert home.requested() == 0


def test_an_archive_that_is_replaced_after_it_was_seen_is_not_sent_unseen(home: Home) -> None:
    home.write("a.zip", zipped({"a.md": "one", "b.md": "same"}))
    home.see()
    home.write("a.zip", zipped({"a.md": "two", "b.md": "same"}))
    finish(home)
    assert home.requested() == 0
    home.see()
    finish(home)
    assert set(home.statuses().values()) == {DocumentStatus.REPORTED}
    assert home.requested() == 2


def test_a_broken_archive_is_one_failure_that_goes_once_it_is_mended(home: Home) -> None:
    whole = tarred({"a.md": "text"})
    home.write("a.tgz", whole[:-2])
    home.write("b.md", "text")
    assert home.see().unusable == 1
    failure = home.documents()["a.tgz"].failure
    assert failure is not None
    assert (failure.type, failure.message) == ("invalid_archive", "its end is cut off")
    home.write("a.tgz", whole)
    home.see()
    assert set(home.documents()) == {"a.tgz/a.md", "b.md"}


def test_a_member_that_can_not_be_read_fails_alone(home: Home) -> None:
    data = zipped({"a.md": "one" * 100, "b.md": "two", "in.zip": b"PK", "../c.md": "x"})
    entry = data.index(b"PK\1\2")
    home.write("a.zip", data[: entry + 8] + b"\1\0" + data[entry + 10 :])
    home.see()
    finish(home)
    why = {
        path: document.failure.message
        for path, document in home.documents().items()
        if document.failure is not None
    }
    assert why == {
        "a.zip:1": "a.md: it is encrypted; pack it without a password",
        "a.zip:3": "in.zip: an archive inside an archive isn't opened; drop it by itself",
        "a.zip:4": 'member 4: the name "../c.md" can\'t be used: it contains the segment ".."',
    }
    assert home.statuses()["a.zip/b.md"] is DocumentStatus.REPORTED
    before = home.documents()
    home.see()
    assert home.documents() == before


def test_a_member_whose_data_is_damaged_fails_alone_when_it_is_read(home: Home) -> None:
    data = bytearray(zipped({"a.md": "one one", "b.md": "two two"}, stored=True))
    data[data.index(b"one one")] ^= 1
    home.write("a.zip", bytes(data))
    home.see()
    finish(home)
    failure = home.documents()["a.zip/a.md"].failure
    assert failure is not None
    assert (failure.type, failure.message) == (
        "unreadable_member",
        "its checksum is wrong: it is broken",
    )
    assert home.statuses()["a.zip/b.md"] is DocumentStatus.REPORTED


def test_two_members_of_one_name_are_a_document_and_a_failure(home: Home) -> None:
    home.write("a.tgz", tarred({"a.md": "one", "./a.md": "two"}))
    home.see()
    failure = home.documents()["a.tgz:2"].failure
    assert failure is not None
    assert "member 2 has the name of member 1 again" in failure.message
    before = home.documents()
    home.see()
    assert home.documents() == before
    finish(home)
    assert home.requested() == 1


def test_an_archive_without_anything_to_read_says_so(home: Home) -> None:
    home.write("a.zip", zipped({".hidden": "x"}))
    home.write("b.tar", tarred({}, "w:"))
    home.see()
    why = {p: d.failure.message for p, d in home.documents().items() if d.failure is not None}
    assert why == {
        "a.zip": "it holds no files to read (left out: 1 hidden)",
        "b.tar": "it holds no files",
    }


def test_a_wrong_extension_is_a_clear_failure(home: Home) -> None:
    home.write("a.zip", "plain text")
    home.write("b.tar.gz", "plain text")
    home.write("c.tar", "plain text")
    home.see()
    why = {p: d.failure.message for p, d in home.documents().items() if d.failure is not None}
    assert why == {
        "a.zip": "it is no zip archive, or its end is cut off",
        "b.tar.gz": "its gz compression is broken",
        "c.tar": "it is no tar archive, or broken",
    }


def test_whoever_changes_how_archives_are_read_pays_for_nothing_of_the_other_way(
    home: Home,
) -> None:
    home.write("legal/a.zip", zipped({"a.md": "text", "b.md": "text"}))
    take_upload(home.deps, Upload(key="legal/a.zip"))
    home.recipe = recipe("archives: document")
    home.write("legal/_recipe.md", "changed")
    take_upload(home.deps, Upload(key="legal/_recipe.md"))
    asyncio.run(home.finish_group("legal/_READY"))
    assert home.requested() == 1
    take_upload(home.deps, Upload(key="legal/_recipe.md"))
    assert set(home.documents()) == {"a.zip"}


def test_a_crash_between_plan_and_create_sends_each_member_once(home: Home) -> None:
    home.write("a.tgz", tarred({f"{n}.md": f"text {n}" for n in range(20)}))
    home.see()
    home.lose_answer()
    asyncio.run(submit(home.deps))
    home.restart()
    home.see()
    finish(home)
    assert home.requested() == 20
    assert set(home.statuses().values()) == {DocumentStatus.REPORTED}
    assert list(home.store.failed(JOB)) == []


def test_members_of_a_compressed_tar_are_read_in_one_pass(home: Home) -> None:
    home.write("a.tgz", tarred({f"{n}/x.md": f"text {n}" for n in range(300)}))
    home.see()
    opened: list[str] = []
    plain = home.deps.documents.chunks

    def counted(key: str, **how: object) -> object:
        opened.append(key)
        return plain(key, **how)  # type: ignore[arg-type]

    home.deps.documents.chunks = counted  # type: ignore[assignment, method-assign]
    assert len(read_all(home)) == 300
    assert opened == ["a.tgz"]


def test_what_is_left_out_is_told(home: Home) -> None:
    home.write("a.zip", packed("a.zip", REPOSITORY))
    told: list[str] = []
    [blob] = home.deps.documents.list()
    seen = sightings_of(home.deps.documents, blob, "a.zip", recipe=home.recipe, tell=told.append)
    take_in(home.deps, JOB, seen)
    [said] = told
    assert said.startswith("a.zip: left out 3 hidden, 2 ignored by .gitignore")
