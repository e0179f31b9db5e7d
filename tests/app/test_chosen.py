"""Only some documents can be sent; the others, their groups and their plans stay."""

import asyncio
from dataclasses import replace

import pytest

from shared.adapters.simulator.faults import Call
from shared.app.chosen import give_up_plans, only
from shared.app.drive import drive
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.group import Load
from shared.domain.policy import EVER
from tests.app.home import JOB, Home
from tests.app.jobs import run


@pytest.fixture
def seen(home: Home) -> Home:
    for name in ("a/1.md", "a/2.md", "b/1.md", "c/1.md"):
        home.write(name, f"# {name}")
    home.see()
    return home


def test_only_they_wait_and_only_their_groups_are_open(seen: Home) -> None:
    store = only(seen.deps.store, JOB, {"a/2.md", "c/1.md", "not/there.md"})
    assert [each.name for each in store.groups(JOB)] == ["a", "c"]
    assert [each.path for each in store.waiting(JOB, "a")] == ["a/2.md"]
    assert list(store.waiting(JOB, "b")) == []
    assert store.load(JOB, "a", enough=Load(documents=9, bytes=9)).documents == 1
    assert [each.path for each in store.all_documents(JOB)] == sorted(seen.statuses())


def test_a_group_in_which_others_wait_is_not_closed(seen: Home) -> None:
    store = only(seen.deps.store, JOB, {"a/1.md", "b/1.md"})
    for group in list(seen.deps.store.groups(JOB)):
        store.close_group(group)
    assert [each.name for each in seen.deps.store.groups(JOB)] == ["a", "b", "c"]


def test_the_engine_sends_them_and_comes_to_its_end(seen: Home) -> None:
    chosen = {"a/2.md", "c/1.md"}
    limited = replace(seen.deps, store=only(seen.deps.store, JOB, chosen))
    asyncio.run(drive(limited, sleep=seen.sleep))
    reported = {p for p, status in seen.statuses().items() if status is DocumentStatus.REPORTED}
    assert reported == chosen
    assert seen.statuses()["a/1.md"] is DocumentStatus.WAITING
    run(seen)
    assert set(seen.statuses().values()) == {DocumentStatus.REPORTED}
    assert sum(batch.requests for batch in seen.batches()) == 4


def test_plans_that_hold_others_are_given_up_and_those_of_the_chosen_are_sent(seen: Home) -> None:
    seen.fault(Call.CREATE, status=529, times=None, retry_after="600")
    asyncio.run(drive(seen.deps, sleep=seen.sleep, waiting=False))
    planned = seen.batches(BatchStatus.PLANNED)
    assert planned
    seen.simulator.faults.script.clear()
    chosen = {"a/1.md", "b/1.md"}
    store = only(seen.deps.store, JOB, chosen)
    give_up_plans(seen.deps, JOB, chosen)
    kept = store.due(BatchStatus.PLANNED, now=seen.now + EVER, limit=1)
    assert all(each.path in chosen for b in kept for each in seen.deps.store.members(b.id))
    assert seen.statuses()["a/1.md"] is DocumentStatus.WAITING
    asyncio.run(drive(replace(seen.deps, store=store), sleep=seen.sleep))
    reported = {p for p, status in seen.statuses().items() if status is DocumentStatus.REPORTED}
    assert reported == chosen
