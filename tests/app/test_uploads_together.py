"""Uploads of one invocation taken in at once: as one by one, at fewer writes."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from shared.adapters.folder_blobs import FolderBlobs
from shared.app.groups import mark_stale
from shared.app.uploads import take_together
from shared.domain.document import DocumentStatus
from shared.domain.policy import Policy
from shared.ports.blobs import Blob
from tests.app.home import JOB, Home


@pytest.fixture(autouse=True)
def as_in_a_bucket(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(reports_by_job=True))


def keys(home: Home, count: int) -> list[str]:
    names = [f"legal/{n % 3}/{n}.md" for n in range(count)]
    for name in names:
        home.write(name, f"text of {name}")
    return names


def test_a_job_is_marked_twice_however_many_uploads_there_are(home: Home) -> None:
    names = keys(home, 200)
    mark_stale(home.store, JOB)
    before = home.store.job(JOB)
    taken, done = take_together(home.deps, names)
    assert (taken.new, done) == (200, set(names))
    assert set(home.statuses().values()) == {DocumentStatus.WAITING}
    assert {document.group for document in home.documents().values()} == {"0", "1", "2"}
    job = home.store.job(JOB)
    assert job is not None
    assert before is not None
    assert job.rev == before.rev + 2


def test_the_same_uploads_again_change_nothing(home: Home) -> None:
    names = keys(home, 5)
    take_together(home.deps, names)
    before = home.documents()
    taken, done = take_together(home.deps, [*names, *names])
    assert (taken.new, taken.changed, taken.unchanged, len(done)) == (0, 0, 5, 5)
    assert home.documents() == before


def test_what_is_no_plain_document_is_left_for_a_closer_look(home: Home) -> None:
    others = (
        *("legal/_READY", "legal/_recipe.md", "legal/rows.jsonl", "legal/rows.csv"),
        *("stray.md", "/a.md", "x" * 200 + "/a.md", "legal/never-there.md", "legal/.hidden"),
        "legal/manifest.json",
    )
    for name in ("legal/_READY", "legal/rows.jsonl", "stray.md", "legal/manifest.json"):
        home.write(name, '{"id": "r", "text": "x"}')
    home.write("legal/a.md", "text")
    taken, done = take_together(home.deps, ["legal/a.md", *others])
    assert (taken.new, done) == (1, {"legal/a.md"})
    assert list(home.documents()) == ["a.md"]


def test_what_is_replaced_while_it_is_taken_in_is_left_for_another_look(home: Home) -> None:
    names = keys(home, 3)
    home.deps = replace(home.deps, documents=Changing(home.root / "input", names[1]))
    taken, done = take_together(home.deps, names)
    assert (taken.new, done) == (3, {names[0], names[2]})


def test_when_time_is_over_nothing_more_is_looked_at(home: Home) -> None:
    taken, done = take_together(home.deps, keys(home, 3), until=home.now)
    assert (taken.new, done) == (0, set())


class Changing(FolderBlobs):
    """One object is another at each look."""

    def __init__(self, root: Path, key: str) -> None:
        super().__init__(root)
        self.key = key
        self.looks = 0

    def stat(self, key: str) -> Blob:
        blob = super().stat(key)
        if key != self.key:
            return blob
        self.looks += 1
        return msgspec.structs.replace(blob, etag=f"version {self.looks}")
