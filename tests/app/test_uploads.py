import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from shared.adapters.folder_blobs import FolderBlobs
from shared.app.deps import NoRecipe
from shared.app.groups import mark_stale, set_problem
from shared.app.publish import publish
from shared.app.submit import submit
from shared.app.uploads import UNPLACED, Upload, take_upload
from shared.domain.document import DocumentStatus, Failure
from shared.domain.ids import JobName
from shared.domain.policy import Policy
from shared.domain.recipe import Recipe
from shared.ports.blobs import Blob, BlobNotFound, BlobUnreadable
from tests.app.home import JOB, START, Home


@pytest.fixture(autouse=True)
def as_in_a_bucket(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(reports_by_job=True))


def upload(home: Home, key: str, text: str = "text") -> None:
    home.write(key, text)
    take_upload(home.deps, Upload(key=key))


def test_the_first_segment_is_the_job_and_the_folder_the_group(home: Home) -> None:
    upload(home, "legal/2026/nda.md")
    document = home.documents()["2026/nda.md"]
    assert (document.job, document.group) == (JOB, "2026")


def test_an_event_that_comes_twice_or_late_or_for_nothing_changes_nothing(home: Home) -> None:
    upload(home, "legal/a.md")
    take_upload(home.deps, Upload(key="legal/a.md"))
    take_upload(home.deps, Upload(key="legal/never-there.md"))
    assert list(home.documents()) == ["a.md"]


def test_an_event_about_an_old_version_takes_in_what_is_there_now(home: Home) -> None:
    home.write("legal/a.md", "one")
    home.write("legal/a.md", "two")
    take_upload(home.deps, Upload(key="legal/a.md"))
    take_upload(home.deps, Upload(key="legal/a.md"))
    asyncio.run(home.finish_group("legal/_READY"))
    assert home.requested() == 1


def test_a_ready_marker_closes_the_group_of_its_folder_only(home: Home) -> None:
    upload(home, "legal/a/x.md")
    upload(home, "legal/b/y.md")
    upload(home, "legal/a/_READY", "")
    assert asyncio.run(submit(home.deps)).requests == 1
    assert home.statuses() == {"a/x.md": DocumentStatus.IN_BATCH, "b/y.md": DocumentStatus.WAITING}


def test_a_ready_marker_at_the_top_closes_every_group(home: Home) -> None:
    upload(home, "legal/a/x.md")
    upload(home, "legal/b/y.md", "another text")
    upload(home, "legal/_READY", "")
    assert asyncio.run(submit(home.deps)).requests == 2


def test_a_marker_that_overtakes_its_documents_does_no_harm(home: Home) -> None:
    upload(home, "legal/a/_READY", "")
    asyncio.run(submit(home.deps))
    upload(home, "legal/a/x.md")
    home.later(minutes=11)
    assert asyncio.run(submit(home.deps)).requests == 1


def test_an_object_outside_any_job_is_a_failure_somebody_can_see(home: Home) -> None:
    upload(home, "stray.md")
    publish(home.deps, UNPLACED)
    lines = (home.root / "output" / "_unplaced" / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["no_job"]


def test_a_job_without_a_recipe_is_reported_and_taken_up_when_one_arrives(home: Home) -> None:
    recipe = home.recipe
    found: list[Recipe] = []

    def by_job(job: JobName) -> Recipe:
        if not found:
            raise NoRecipe(Failure(type="recipe_missing", message=f"{job} has no recipe"))
        return found[0]

    home.deps = replace(home.deps, recipe=by_job)
    upload(home, "legal/a.md")
    upload(home, "legal/_READY", "")
    asyncio.run(submit(home.deps))
    publish(home.deps, JOB)
    failures = home.root / "output" / "legal" / "failures.jsonl"
    assert json.loads(failures.read_text())["type"] == "recipe_missing"
    found.append(replace(recipe, group_by="none"))
    upload(home, "legal/_recipe.md", "the recipe")
    assert asyncio.run(submit(home.deps)).requests == 1
    publish(home.deps, JOB)
    assert failures.read_text() == ""


def test_a_problem_stays_until_it_is_solved(home: Home) -> None:
    problem = Failure(type="recipe_missing", message="…")
    set_problem(home.store, JOB, problem)
    mark_stale(home.store, JOB)
    job = home.store.job(JOB)
    assert job is not None
    assert job.problem == problem


def test_a_manifest_that_is_replaced_leaves_no_faults_of_the_old_one(home: Home) -> None:
    upload(home, "legal/rows.jsonl", '{"id": "a", "text": "x"}\n{broken\n')
    assert home.documents()["rows.jsonl:2"].status is DocumentStatus.FAILED
    upload(home, "legal/rows.jsonl", '{"id": "a", "text": "x"}\n{"id": "b", "text": "y"}\n')
    assert set(home.documents()) == {"a", "b"}


def test_a_long_manifest_is_taken_in_by_several_who_go_on(home: Home) -> None:
    lines = [f'{{"id": "{number:04}", "text": "x"}}\n' for number in range(1200)]
    lines[700] = "{broken\n"
    home.write("legal/rows.jsonl", "".join(lines))
    upload: Upload | None = Upload(key="legal/rows.jsonl")
    pieces = 0
    while upload is not None:
        upload = take_upload(home.deps, upload, until=home.now).left
        pieces += 1
    assert pieces == 3
    assert len(home.documents()) == 1200
    assert home.documents()["rows.jsonl:701"].status is DocumentStatus.FAILED


def test_a_recipe_for_many_documents_is_followed_by_several_who_go_on(home: Home) -> None:
    for number in range(1100):
        home.write(f"legal/{number:04}.md", f"text {number}")
    home.write("legal/0700.jsonl", "".join(f'{{"id": "r{n}", "text": "x"}}\n' for n in range(600)))
    upload: Upload | None = Upload(key="legal/_recipe.md")
    pieces = 0
    while upload is not None:
        upload = take_upload(home.deps, upload, until=home.now).left
        pieces += 1
    assert pieces == 4
    assert len(home.documents()) == 1700


def test_an_object_that_is_removed_takes_its_failure_along(home: Home) -> None:
    upload(home, "legal/a.md", "")
    upload(home, "legal/rows.jsonl", "{broken\n")
    upload(home, "legal/b.md")
    asyncio.run(home.finish_group("legal/_READY"))
    assert {d.path for d in home.store.failed(JOB)} == {"a.md", "rows.jsonl:1"}
    for name in ("a.md", "rows.jsonl", "b.md"):
        (home.root / "input" / "legal" / name).unlink()
        take_upload(home.deps, Upload(key=f"legal/{name}"))
    assert home.statuses() == {"b.md": DocumentStatus.REPORTED}


def test_an_object_that_is_removed_before_it_was_submitted_is_forgotten(home: Home) -> None:
    upload(home, "legal/a.md")
    (home.root / "input" / "legal" / "a.md").unlink()
    take_upload(home.deps, Upload(key="legal/a.md"))
    asyncio.run(home.finish_group("legal/_READY"))
    assert home.documents() == {}
    assert home.requested() == 0


@pytest.mark.parametrize("key", ["legal/.hidden.md", "legal/.git/config.md", "legal/folder/"])
def test_hidden_objects_are_passed_over_as_on_a_laptop(home: Home, key: str) -> None:
    (home.root / "input" / "legal" / ".git").mkdir(parents=True)
    (home.root / "input" / "legal" / "folder").mkdir()
    if not key.endswith("/"):
        home.write(key, "text")
    take_upload(home.deps, Upload(key=key))
    assert home.documents() == {}


@pytest.mark.parametrize("job", ["..", ".", "a\\b", "bell\x07", "\u202ejob", "j" * 121, "é" * 61])
def test_a_job_that_can_not_have_a_place_in_the_output_fails_where_it_can_be_seen(
    home: Home, job: str
) -> None:
    key = f"{job}/a.md"
    home.deps = replace(home.deps, documents=OneBlob(key))
    for name in (key, f"{job}/_READY", f"{job}/_recipe.md"):
        take_upload(home.deps, Upload(key=name))
    assert home.documents() == {}
    [document] = home.store.all_documents(UNPLACED)
    assert document.failure is not None
    assert document.failure.type == "invalid_name"
    assert list(home.store.groups(JobName(job))) == []


def test_an_event_for_something_outside_any_job_that_is_gone_tells_nothing(home: Home) -> None:
    for key in ("gone.md", "j" * 200 + "/gone.md", "/gone.md"):
        home.deps = replace(home.deps, documents=OneBlob("other"))
        take_upload(home.deps, Upload(key=key))
    assert list(home.store.all_documents(UNPLACED)) == []


def test_names_that_can_not_be_paths_fail_each_under_a_name_of_its_own(home: Home) -> None:
    long = "/".join(["x" * 99] * 9)
    names = ["a\x01", "a\\x01", "a\x01/b", long + "/1", long + "/2", "../x", "a//b", " /../ "]
    for name in names:
        home.deps = replace(home.deps, documents=OneBlob(f"legal/{name}"))
        take_upload(home.deps, Upload(key=f"legal/{name}"))
    found = home.documents()
    assert len(found) == len(names)
    assert {d.failure.type for d in found.values() if d.failure} == {"invalid_name"}


def test_a_manifest_that_can_not_be_read_fails_and_the_rest_of_the_job_is_taken_in(
    home: Home,
) -> None:
    upload(home, "legal/a.md")
    upload(home, "legal/rows.jsonl", '{"id": "r", "text": "x"}')
    home.deps = replace(home.deps, documents=Locked(home.root / "input", "legal/rows.jsonl"))
    for name in ("_recipe.md", "rows.jsonl"):
        take_upload(home.deps, Upload(key=f"legal/{name}"))
    failure = home.documents()["rows.jsonl"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("unreadable", True)
    assert home.statuses()["a.md"] is DocumentStatus.WAITING


class OneBlob(FolderBlobs):
    """A bucket with one object, whose key may be one that no folder can hold."""

    def __init__(self, key: str) -> None:
        super().__init__(Path("/nowhere"))
        self.key = key

    def stat(self, key: str) -> Blob:
        if key != self.key:
            raise BlobNotFound(f"{key} isn't there")
        return Blob(key=key, size=1, etag=sha256(key.encode()).hexdigest(), modified=START)


class Locked(FolderBlobs):
    """One key can be seen and not be read, like an object that lies in an archive."""

    def __init__(self, root: Path, key: str) -> None:
        super().__init__(root)
        self.key = key

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        if key == self.key:
            raise BlobUnreadable(f"{key} can't be read: S3 answered 403 InvalidObjectState")
        yield from super().chunks(key, etag=etag, offset=offset)
