"""Digests of a stack's groups, with folders for buckets and a clock that the test turns."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.folder_blobs import FolderBlobs
from shared.app.collect import collect
from shared.app.digests import make_digests
from shared.app.poll import poll
from shared.app.publish import publish
from shared.app.submit import submit
from shared.app.uploads import Upload, take_upload
from shared.domain.batch import BatchStatus
from shared.domain.digest import digest_job, digested_job
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.policy import EVER, Policy
from shared.wiring.aws import JobRecipes
from tests.app.home import JOB, RECIPE, Home

DIGESTS = digest_job(JOB)
SECOND = RECIPE.replace("Review this.", "Rank these.")


@pytest.fixture(autouse=True)
def as_in_a_bucket(home: Home) -> None:
    reports = Reports(home.root / "output")
    policy = Policy(reports_by_job=True)
    home.deps = replace(home.deps, policy=policy, reports=reports)
    use_recipes(home)
    upload(home, "_recipe.md", RECIPE)
    upload(home, "_digest.md", SECOND)


class Reports(FolderBlobs):
    """Reports that call back before one is written."""

    before: Callable[[str], None] = staticmethod(lambda _: None)

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """See `FolderBlobs.write_many`."""
        for key, data in items:
            self.before(key)
            super().write_many([(key, data)])

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        """See `FolderBlobs.write_stream`."""
        self.before(key)
        super().write_stream(key, pieces)


class Died(Exception):
    """Where a process ends in a test."""


def dies_at(home: Home, wanted: str) -> None:
    def die(key: str) -> None:
        if wanted in key:
            raise Died

    reports(home).before = die


def reports(home: Home) -> Any:
    return home.deps.reports


def use_recipes(home: Home) -> None:
    home.deps = replace(home.deps, recipe=JobRecipes(home.deps.documents))


def upload(home: Home, path: str, text: str) -> None:
    home.write(f"legal/{path}", text)
    take_upload(home.deps, Upload(key=f"legal/{path}"))


def settle(home: Home) -> None:
    """All that is waiting is sent and comes back, and what is stale is published."""
    use_recipes(home)
    for group in list(home.store.groups(JOB)):
        home.write(f"legal/{group.name}/_READY".replace("//", "/"), "")
        take_upload(home.deps, Upload(key=f"legal/{group.name}/_READY".replace("//", "/")))
    asyncio.run(rounds(home))
    publish_stale(home)


async def rounds(home: Home) -> None:
    """What the timers do, until a batch has had its time."""
    for _ in range(3):
        await submit(home.deps)
        home.later(seconds=61)
        await poll(home.deps)
        for batch in home.store.due(BatchStatus.ENDED, now=home.now + EVER, limit=100):
            await collect(home.deps, batch.id)


def publish_stale(home: Home) -> None:
    for job in list(home.store.stale_jobs()):
        publish(home.deps, job.name)


def digests(home: Home) -> int:
    """Reconcile once the group was quiet, and what comes of it; how many were made."""
    home.later(minutes=10)
    made = make_digests(home.deps)
    settle(home)
    return made


def reported(home: Home) -> dict[str, DocumentStatus]:
    return {each.path: each.status for each in home.store.all_documents(DIGESTS)}


def text_of(home: Home) -> str:
    return "\n".join(each.read_text() for each in folder(home).glob("in/*"))


def folder(home: Home) -> Any:
    return home.root / "output/legal/.docmill/digest"


def test_a_finished_group_gets_a_digest_beside_its_reports(home: Home) -> None:
    for name in ("a/one.md", "a/two.md", "b/three.md", "root.md"):
        upload(home, name, f"the text of {name}")
    upload(home, "a/empty.md", "")
    settle(home)
    assert digests(home) == 3
    for place, path in (("a/", "legal/a/_digest.md"), ("", "legal/_digest.md")):
        made = (home.root / "output" / path).read_text()
        assert f"document: {place}_digest\n" in made.replace('"', "")
        assert "## Risks" in made
    text = text_of(home)
    assert "a/one.md" in text
    assert "2 documents have a report; 1 have none" in text
    assert (folder(home) / "summary.json").is_file()
    assert (folder(home) / "failures.jsonl").read_bytes() == b""
    assert home.requested() == 4 + 3
    assert len({batch.id for batch in home.store.batches(DIGESTS)}) == 1
    assert "_digest" not in (home.root / "output/legal/summary.json").read_text()
    assert digested_job(DIGESTS) == JOB
    assert digests(home) == 0
    assert list(home.store.groups()) == []


def test_it_waits_until_the_group_was_quiet_and_nothing_of_it_is_open(home: Home) -> None:
    upload(home, "a/one.md", "one")
    settle(home)
    home.later(minutes=9)
    assert make_digests(home.deps) == 0
    upload(home, "a/two.md", "two")
    home.later(minutes=1)
    assert make_digests(home.deps) == 0, "a document of it waits"
    settle(home)
    assert make_digests(home.deps) == 0, "it was finished a moment ago"
    assert digests(home) == 1
    assert reported(home) == {"a/_digest": DocumentStatus.REPORTED}
    assert "2 documents have a report" in text_of(home)


def test_the_same_reports_are_paid_for_once_and_others_anew(home: Home) -> None:
    upload(home, "a/one.md", "one")
    upload(home, "b/two.md", "two")
    settle(home)
    digests(home)
    paid = home.requested()
    upload(home, "_digest.md", SECOND)  # everything is looked at again
    home.store.swap_job(replace_digests(home))
    publish_stale(home)
    assert digests(home) == 0
    assert home.requested() == paid
    upload(home, "a/three.md", "three")
    settle(home)
    assert digests(home) == 1
    assert home.requested() == paid + 2, "the document and the digest of its group"


def replace_digests(home: Home) -> Any:
    from msgspec.structs import replace as changed  # noqa: PLC0415

    job = home.store.job(JOB)
    assert job is not None
    return changed(job, digests=False, stale=True)


def test_a_job_without_the_recipe_has_none_until_it_comes(home: Home) -> None:
    (home.root / "input/legal/_digest.md").unlink()
    take_upload(home.deps, Upload(key="legal/_digest.md"))
    upload(home, "a/one.md", "one")
    settle(home)
    assert digests(home) == 0
    assert list(home.store.all_documents(DIGESTS)) == []
    upload(home, "_digest.md", SECOND)
    publish_stale(home)
    assert digests(home) == 1


def test_a_recipe_that_is_wrong_is_told_and_one_that_is_removed_forgotten(home: Home) -> None:
    upload(home, "_digest.md", "---\nmodl: x\n---\n")
    upload(home, "a/one.md", "one")
    settle(home)
    assert digests(home) == 0
    failures = (folder(home) / "failures.jsonl").read_text()
    assert '"_digest.md"' in failures
    assert "modl" in failures
    upload(home, "_digest.md", SECOND)
    use_recipes(home)
    assert digests(home) == 1
    assert (folder(home) / "failures.jsonl").read_text() == ""
    upload(home, "a/two.md", "two")
    settle(home)
    (home.root / "input/legal/_digest.md").unlink()
    use_recipes(home)
    assert digests(home) == 0
    assert list(home.store.groups(DIGESTS)) == []


@pytest.mark.parametrize("where", ["legal/summary.json", "/in/", "after"])
def test_a_crash_between_any_steps_loses_nothing_and_pays_once(home: Home, where: str) -> None:
    upload(home, "a/one.md", "one")
    dies_at(home, where)
    if where == "legal/summary.json":
        with pytest.raises(Died):
            settle(home)
    else:
        settle(home)
        home.later(minutes=10)
        if where == "/in/":
            with pytest.raises(Died):
                make_digests(home.deps)
        else:
            plain = home.store.close_group
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(home.store, "close_group", lambda _: dies())
                with pytest.raises(Died):
                    make_digests(home.deps)
            assert home.store.close_group == plain
            settle(home)
        home.later(hours=1)
    reports(home).before = lambda _: None
    settle(home)
    digests(home)
    assert reported(home) == {"a/_digest": DocumentStatus.REPORTED}
    assert home.requested() == 2
    home.later(hours=1)
    assert digests(home) == 0
    assert list(home.store.groups(DIGESTS)) == []


def dies() -> None:
    raise Died


def test_a_group_that_is_noted_again_while_its_digest_is_made_is_made_again(home: Home) -> None:
    upload(home, "a/one.md", "one")
    settle(home)
    home.later(minutes=10)

    def another(key: str) -> None:
        if "/in/" in key:
            reports(home).before = lambda _: None
            upload(home, "a/two.md", "two")
            settle(home)

    reports(home).before = another
    make_digests(home.deps)
    assert digests(home) == 1
    assert "2 documents have a report" in text_of(home)
    assert reported(home) == {"a/_digest": DocumentStatus.REPORTED}


def test_two_at_once_make_one(home: Home) -> None:
    upload(home, "a/one.md", "one")
    settle(home)
    home.later(minutes=10)
    found: list[int] = []

    def other(key: str) -> None:
        if "/in/" in key:
            reports(home).before = lambda _: None
            found.append(make_digests(home.deps))

    reports(home).before = other
    assert make_digests(home.deps) == 1
    assert found == [0]
    settle(home)
    assert home.requested() == 2


def test_what_cannot_be_digested_is_a_failure_of_its_own(home: Home) -> None:
    upload(home, "a/_digest", "a document of that name")
    upload(home, "a/one.md", "one")
    settle(home)
    report = home.root / "output/legal/a/_digest.md"
    before = report.read_bytes()
    digests(home)
    assert report.read_bytes() == before
    failures = (folder(home) / "failures.jsonl").read_text()
    assert "rename that document" in failures
    assert (home.root / "output/legal/failures.jsonl").read_text() == ""


def test_what_may_cost_too_much_is_held_with_its_cost_and_made_when_it_may(home: Home) -> None:
    upload(home, "_digest.md", SECOND.replace("max_wait", "max_cost: 0.000001\nmax_wait"))
    use_recipes(home)
    upload(home, "a/one.md", "one")
    settle(home)
    digests(home)
    assert home.requested() == 1
    [held] = home.store.failed(DIGESTS)
    assert held.failure is not None
    assert held.failure.type == "held_by_max_cost"
    use_recipes(home)
    upload(home, "_digest.md", SECOND)
    use_recipes(home)
    settle(home)
    assert reported(home) == {"a/_digest": DocumentStatus.REPORTED}


def test_reports_beyond_what_a_document_holds_are_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(home, "a/one.md", "one")
    settle(home)
    monkeypatch.setattr("shared.app.digests.MOST_BYTES", 100)
    digests(home)
    assert "make smaller groups" in (folder(home) / "failures.jsonl").read_text()
    assert home.requested() == 1


def test_more_groups_than_fit_at_once_are_made_in_turns(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.app.digests._MOST_AT_ONCE", 2)
    for name in ("a/one.md", "a/two.md", "b/one.md", "b/two.md", "c/one.md"):
        upload(home, name, name)
    settle(home)
    made = [digests(home) for _ in range(3)]
    assert sum(made) == 3
    assert len(reported(home)) == 3


def test_a_note_is_no_group_that_waits_to_be_submitted(home: Home) -> None:
    upload(home, "a/one.md", "one")
    settle(home)
    assert [group.name for group in home.store.groups(DIGESTS)] == ["/a"]
    home.later(minutes=30)
    assert asyncio.run(submit(home.deps)).requests == 0
    assert [group.name for group in home.store.groups(DIGESTS)] == ["/a"]


def test_nothing_is_begun_when_time_is_over(home: Home) -> None:
    upload(home, "a/one.md", "one")
    settle(home)
    home.later(minutes=10)
    assert make_digests(home.deps, until=home.now - timedelta(seconds=1)) == 0
    home.later(hours=1)
    assert make_digests(home.deps) == 1


def test_a_removed_report_is_named_among_what_has_none(home: Home) -> None:
    upload(home, "a/one.md", "one")
    upload(home, "a/two.md", "two")
    settle(home)
    (home.root / "output/legal/a/one.md.md").unlink()
    digests(home)
    text = text_of(home)
    assert "report_missing" in text


def test_a_digest_has_no_digest_and_the_input_cannot_pretend_to_be_one(home: Home) -> None:
    upload(home, ".docmill/digest/_digest.md", SECOND)
    upload(home, ".docmill/digest/in/x", "mine")
    upload(home, "a/one.md", "one")
    settle(home)
    for _ in range(3):
        digests(home)
    assert home.requested() == 2
    assert list(home.store.all_documents(digest_job(DIGESTS))) == []
    assert list(home.store.all_documents(JobName("legal/.docmill/digest/in"))) == []
