"""A folder that is one document: sent whole, and anew when a part comes, changes or goes."""

import asyncio
from dataclasses import replace

import pytest

from shared.app.contents import read_contents
from shared.app.folders import Folder, folder_sightings, with_folders
from shared.app.gone import forget_gone
from shared.app.intake import take_in
from shared.app.submit import submit
from shared.app.uploads import Upload, take_together, take_upload
from shared.domain.document import DocumentStatus
from shared.domain.policy import Policy
from tests.adapters.converters import files
from tests.app.home import JOB, Home
from tests.archives import recipe


@pytest.fixture(autouse=True)
def folders(home: Home) -> None:
    home.recipe = recipe("documents: folder")
    home.deps = replace(home.deps, policy=Policy(reports_by_job=True))


def upload(home: Home, key: str, text: str | bytes = "text") -> None:
    home.write(key, text)
    take_upload(home.deps, Upload(key=key))


def remove(home: Home, key: str) -> None:
    (home.root / "input" / key).unlink()
    take_upload(home.deps, Upload(key=key))


def ready(home: Home, marker: str = "legal/_READY") -> None:
    asyncio.run(home.finish_group(marker))


def waiting_text(home: Home) -> str:
    [group] = home.store.groups(JOB)
    [(_, content)] = read_contents(home.deps, home.store.waiting(JOB, group.name), home.recipe)
    assert not hasattr(content, "message"), content
    text: str = content.input.text
    return text


def report(home: Home, path: str) -> str | None:
    return home.report(f"legal/{path}")


def test_its_files_come_one_by_one_and_are_one_request(home: Home) -> None:
    for name in ("annex/1.md", "contract.md", "annex/2.md"):
        upload(home, f"legal/acme/{name}", f"this is {name}")
    assert home.statuses() == {"acme": DocumentStatus.WAITING}
    assert [line for line in waiting_text(home).splitlines() if line.startswith("##")] == [
        "## annex/1.md",
        "## annex/2.md",
        "## contract.md",
    ]
    ready(home)
    assert home.requested() == 1
    assert report(home, "acme") is not None


def test_it_waits_with_its_group_until_that_is_ripe(home: Home) -> None:
    upload(home, "legal/acme/contract.md")
    home.later(minutes=5)
    assert asyncio.run(submit(home.deps)).requests == 0
    upload(home, "legal/acme/annex.md")
    home.later(minutes=6)
    assert asyncio.run(submit(home.deps)).requests == 1
    assert list(home.documents()) == ["acme"]


def test_a_marker_inside_it_says_that_it_is_whole(home: Home) -> None:
    upload(home, "legal/acme/contract.md")
    upload(home, "legal/acme/_READY", "")
    assert asyncio.run(submit(home.deps)).requests == 1
    assert "_READY" not in str(home.simulator.batches)


@pytest.mark.parametrize("change", ["added", "changed", "removed"])
def test_a_part_that_is_added_changed_or_removed_makes_a_new_version(
    home: Home, change: str
) -> None:
    upload(home, "legal/acme/a.md", "one")
    upload(home, "legal/acme/b.md", "two")
    ready(home)
    for key in ("legal/acme/a.md", "legal/acme/b.md"):
        take_upload(home.deps, Upload(key=key))
    ready(home)
    assert home.requested() == 1
    if change == "added":
        upload(home, "legal/acme/c.md", "three")
    elif change == "changed":
        upload(home, "legal/acme/b.md", "TWO")
    else:
        remove(home, "legal/acme/b.md")
    assert home.statuses() == {"acme": DocumentStatus.WAITING}
    ready(home)
    assert home.requested() == 2


def test_a_folder_that_goes_is_forgotten(home: Home) -> None:
    upload(home, "legal/acme/a.md")
    upload(home, "legal/acme/b.md")
    remove(home, "legal/acme/a.md")
    assert home.statuses() == {"acme": DocumentStatus.WAITING}
    remove(home, "legal/acme/b.md")
    assert home.documents() == {}


def test_a_part_that_can_not_be_read_fails_the_whole_by_its_name(home: Home) -> None:
    upload(home, "legal/acme/a.md")
    upload(home, "legal/acme/b.bin", b"\x7fELF\0\0\0")
    ready(home)
    failure = home.documents()["acme"].failure
    assert failure is not None
    assert failure.type == "unsupported_type"
    assert failure.message.startswith("b.bin: it is ")
    assert home.requested() == 0
    remove(home, "legal/acme/b.bin")
    ready(home)
    assert home.statuses() == {"acme": DocumentStatus.REPORTED}


def test_a_part_that_comes_between_looking_and_reading_is_not_sent_unseen(home: Home) -> None:
    upload(home, "legal/acme/a.md")
    home.write("legal/acme/b.md", "its event is late")
    ready(home)
    assert home.requested() == 0
    failure = home.documents()["acme"].failure
    assert failure is not None
    assert failure.type == "source_changed"
    take_upload(home.deps, Upload(key="legal/acme/b.md"))
    ready(home)
    assert home.requested() == 1


def test_files_beside_such_folders_are_documents_of_their_own(home: Home) -> None:
    upload(home, "legal/acme/a.md")
    upload(home, "legal/alone.md")
    assert set(home.documents()) == {"acme", "alone.md"}


def test_groups_may_stand_above_such_folders(home: Home) -> None:
    home.recipe = recipe("documents: group/folder")
    for key in ("2025/acme/a.md", "2025/acme/annex/b.md", "2026/acme/a.md", "2026/alone.md"):
        upload(home, f"legal/{key}")
    found = {path: document.group for path, document in home.documents().items()}
    assert found == {"2025/acme": "2025", "2026/acme": "2026", "2026/alone.md": "2026"}


def test_several_events_of_a_folder_are_looked_at_once(home: Home) -> None:
    keys = [f"legal/acme/{n}.md" for n in range(5)] + ["legal/alone.md"]
    for key in keys:
        home.write(key, "text")
    listed: list[str] = []
    plain = home.deps.documents.list

    def counted(prefix: str = "", **how: str) -> object:
        listed.append(prefix)
        return plain(prefix, **how)

    home.deps.documents.list = counted  # type: ignore[assignment, method-assign]
    taken, done = take_together(home.deps, keys)
    assert (taken.new, done) == (2, set(keys))
    assert listed == ["legal/acme/"] * 2


def test_a_recipe_that_comes_later_puts_files_together_and_takes_them_apart(home: Home) -> None:
    home.recipe = recipe("archives: files")
    for name in ("a", "b"):
        upload(home, f"legal/acme/{name}.md")
    home.recipe = recipe("documents: folder")
    upload(home, "legal/_recipe.md", "by folder")
    ready(home)
    ready(home, "legal/acme/_READY")
    assert home.requested() == 1
    take_upload(home.deps, Upload(key="legal/_recipe.md"))
    assert home.statuses() == {"acme": DocumentStatus.REPORTED}


def test_a_long_job_of_folders_is_followed_by_several_who_go_on(home: Home) -> None:
    for number in range(1100):
        home.write(f"legal/{number:04}/a.md", f"text {number}")
        home.write(f"legal/{number:04}/b.md", "more")
    upload: Upload | None = Upload(key="legal/_recipe.md")
    pieces = 0
    while upload is not None:
        upload = take_upload(home.deps, upload, until=home.now).left
        pieces += 1
    assert pieces == 3
    assert len(home.documents()) == 1100


def test_a_folder_that_failed_is_not_tried_again_by_being_seen_again(home: Home) -> None:
    upload(home, "legal/acme/b.bin", b"\x7fELF\0\0\0")
    ready(home)
    before = home.documents()
    forget_gone(home.deps, JOB)
    assert home.documents() == before


def test_a_folder_and_a_file_of_one_name_do_not_take_each_others_report(home: Home) -> None:
    upload(home, "legal/acme/a.md")
    seen = next(
        next(folder_sightings(replace(found, key="elsewhere/acme/"), home.recipe))
        for found, _ in with_folders(
            ((b, b.key.removeprefix("legal/")) for b in home.deps.documents.list("legal/")),
            home.recipe.shape,
        )
        if isinstance(found, Folder)
    )
    assert take_in(home.deps, JOB, [seen]).unusable == 1
    failures = [document.failure for document in home.store.failed(JOB)]
    assert [each.type for each in failures if each] == ["duplicate_path"]


@pytest.mark.parametrize(
    ("annexes", "type_", "says"),
    [
        (
            {"1.pdf": files.pdf(*["x"] * 400), "2.pdf": files.pdf(*["x"] * 300)},
            "too_many_pages",
            "it has 700 pages, and a request to this model takes 600; put some of its files",
        ),
        (
            {"1.pdf": files.pdf(*["x"] * 601)},
            "too_many_pages",
            "annexes/1.pdf: it has 601 pages, and a request to this model takes 600; split it",
        ),
        (
            {"1.pdf": files.pdf("x", "y"), "2.png": files.image(), "3.md": "word " * 1_000_000},
            "document_too_large",
            "2 pages and 1 image of it are attached, so it isn't asked about in parts; put some",
        ),
        (
            {f"{n}.pdf": files.pdf(*["words " * 40] * 40) for n in range(5)},
            "request_too_large",
            "more than a request with attachments may have (60,000); put some of its files into",
        ),
    ],
    ids=["pages", "one file", "context", "bytes"],
)
def test_a_folder_that_a_request_can_not_take_fails_and_says_what_to_do(
    home: Home, annexes: dict[str, str | bytes], type_: str, says: str
) -> None:
    most = 60_000 if type_ == "request_too_large" else 32_000_000
    home.deps = replace(home.deps, policy=Policy(reports_by_job=True, max_request_bytes=most))
    home.write("legal/acme/contract.md", "# Contract")
    for name, data in annexes.items():
        home.write(f"legal/acme/annexes/{name}", data)
    upload(home, "legal/acme/last.md")
    ready(home)
    failure = home.documents()["acme"].failure
    assert failure is not None
    assert (failure.type, says in failure.message) == (type_, True), failure.message
    assert home.requested() == 0
