"""What a person asks of a job on a stack, while the stack's functions go on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handlers import poll, submit
from handlers.cli.stack import control
from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Faults
from shared.domain.batch import Batch, BatchStatus
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName
from shared.wiring.aws import home
from tests.handlers.cli.stack.deployed import RECIPE, Deployed

JOB = JobName("review")


def drop(stack: Deployed, folder: Path, count: int, *, ready: bool = True) -> None:
    """Let that many documents wait."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:03}.md").write_text(f"# Document {number} in {folder.name}")
    recipe = folder.parent / "recipe.md"
    recipe.write_text(RECIPE)
    marks = ("--ready",) if ready else ()
    done = stack("drop", folder, "--job", JOB, "--group", folder.name, "--recipe", recipe, *marks)
    assert done.status == 0
    assert stack.cloud.take_uploads() == []


def statuses() -> dict[str, DocumentStatus]:
    return {each.path: each.status for each in home().store.all_documents(JOB)}


def slow(stack: Deployed) -> None:
    """Batches take long, so that there is something to cancel."""
    stack.cloud.provider.simulator.settings = SimulatorSettings(duration_s=600.0)


def go_on(stack: Deployed) -> None:
    """What the stack does while `cancel` waits; the provider takes a while to stop."""
    time.sleep(0.06)  # until a batch is due
    stack.cloud.tick()
    stack.cloud.provider.clock.advance(60)


def test_failed_documents_are_tried_again(stack: Deployed, tmp_path: Path) -> None:
    drop(stack, tmp_path / "a", 3)
    stack.cloud.provider.simulator.faults.expire_rate = 1.0
    deadline = time.monotonic() + 60
    while set(statuses().values()) != {DocumentStatus.FAILED}:
        assert time.monotonic() < deadline
        stack.cloud.tick()
    shown = stack("status")
    stack.cloud.settle(JOB)
    shown = stack("status")
    assert shown.status == 1
    assert "failed: 3" in shown.out
    paid = len(stack.cloud.paid())

    stack.cloud.provider.simulator.faults = Faults()
    refused = stack("retry", "--job", JOB, DOCMILL_ASK_ABOVE="0")
    assert refused.status == 2
    assert "nobody can be asked here" in refused.said
    assert set(statuses().values()) == {DocumentStatus.FAILED}
    done = stack("retry", "--job", JOB, "--json")
    assert done.status == 3
    assert "3 documents" in done.err
    [told] = [json.loads(line) for line in done.out.splitlines()]
    assert (told["event"], told["documents"]) == ("requeued", 3)
    stack.cloud.settle(JOB)
    assert set(statuses().values()) == {DocumentStatus.REPORTED}
    assert len(stack.cloud.paid()) == paid + 3
    done = stack("retry")
    assert (done.status, done.err) == (0, "")
    assert stack("status").status == 0


def test_cancel_ends_everything_while_the_functions_run(stack: Deployed, tmp_path: Path) -> None:
    slow(stack)
    drop(stack, tmp_path / "a", 4)
    assert submit.handler({}, stack.cloud.invocation)["requests"] == 4
    drop(stack, tmp_path / "b", 3, ready=False)

    status = control.cancel(
        stack.name, job=JOB, wait=True, as_json=False, sleep=lambda _: go_on(stack)
    )

    found = statuses()
    assert {path: found[path] for path in found if path.startswith("b/")} == {
        f"b/{number:03}.md": DocumentStatus.FAILED for number in range(3)
    }
    assert set(found.values()) <= {DocumentStatus.FAILED, DocumentStatus.REPORTED}
    assert status == 1
    assert len(stack.cloud.paid()) == 4
    paid = len(stack.cloud.paid())
    for _ in range(3):
        go_on(stack)
    assert len(stack.cloud.paid()) == paid, "what is canceled isn't submitted any more"


def test_without_waiting_what_is_open_is_said(stack: Deployed, tmp_path: Path) -> None:
    slow(stack)
    drop(stack, tmp_path / "a", 2)
    submit.handler({}, stack.cloud.invocation)
    done = stack("cancel", "--no-wait", "--json")
    [told] = done.events
    assert (done.status, told["batches"], told["open_batches"]) == (3, 1, 1)
    poll.handler({}, stack.cloud.invocation)
    [batch] = stack.cloud.provider.simulator.batches.values()
    assert batch.canceled_at is not None


Swap = Callable[[DynamoStore, Any], Any]


def in_between(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    when: Callable[[Any], bool],
    act: Callable[[], object],
) -> None:
    """Do something once, right before a write that meets `when`."""
    plain = getattr(DynamoStore, method)
    done: list[bool] = []

    def first_act(store: DynamoStore, record: Any, **how: Any) -> Any:
        if not done and when(record):
            done.append(True)
            act()
        return plain(store, record, **how)

    monkeypatch.setattr(DynamoStore, method, first_act)


def test_a_poll_in_the_middle_of_the_wish_to_cancel_does_not_lose_it(
    stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(stack)
    drop(stack, tmp_path / "a", 2)
    submit.handler({}, stack.cloud.invocation)
    looked: list[int] = []

    def look() -> None:
        time.sleep(0.1)  # until it is due
        looked.append(poll.handler({}, stack.cloud.invocation)["checked"])

    def wish(batch: Batch) -> bool:
        return batch.cancel_wanted

    in_between(monkeypatch, "swap_batch", wish, look)
    [told] = stack("cancel", "--no-wait", "--json").events
    assert looked == [1], "poll wrote the batch between reading and writing it"
    assert told["batches"] == 1
    [batch] = home().store.batches(JOB)
    assert batch.cancel_wanted


def test_a_submit_in_the_middle_takes_its_documents_and_they_are_canceled_all_the_same(
    stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(stack, tmp_path / "a", 3)
    slow(stack)
    sent: list[int] = []

    def send() -> None:
        sent.append(submit.handler({}, stack.cloud.invocation)["requests"])

    def cancels(documents: list[Document]) -> bool:
        return any(each.status is DocumentStatus.FAILED for each in documents)

    in_between(monkeypatch, "swap_documents", cancels, send)

    control.cancel(stack.name, job=JOB, wait=True, as_json=True, sleep=lambda _: go_on(stack))
    assert sent == [3], "submit claimed what was about to be canceled"
    assert set(statuses().values()) <= {DocumentStatus.FAILED, DocumentStatus.REPORTED}
    assert len(stack.cloud.paid()) == 3
    assert not any(batch.status is BatchStatus.IN_PROGRESS for batch in home().store.batches(JOB))


def test_a_document_that_changes_in_the_middle_is_canceled_as_it_is_now(
    stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(stack, tmp_path / "a", 2, ready=False)

    def change() -> None:
        stack.cloud.upload({f"{JOB}/a/000.md": b"# Another content"})
        assert stack.cloud.take_uploads() == []

    def cancels(documents: list[Document]) -> bool:
        return any(each.status is DocumentStatus.FAILED for each in documents)

    in_between(monkeypatch, "swap_documents", cancels, change)
    [told] = stack("cancel", "--no-wait", "--json").events
    assert told["documents"] == 2
    assert set(statuses().values()) == {DocumentStatus.FAILED}


def test_a_plan_that_somebody_holds_is_left_to_him(
    stack: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Giving it up would leave documents in it that its holder claims a moment later."""
    drop(stack, tmp_path / "a", 3)
    slow(stack)
    told: list[dict[str, Any]] = []

    def cancel() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DynamoStore, "swap_documents", plain)
            told.extend(stack("cancel", "--no-wait", "--json").events)

    plain = DynamoStore.swap_documents

    def claims(documents: list[Document]) -> bool:
        return any(each.status is DocumentStatus.IN_BATCH for each in documents)

    with monkeypatch.context() as patch:
        in_between(patch, "swap_documents", claims, cancel)
        submit.handler({}, stack.cloud.invocation)
    assert told[0]["documents"] == 3
    assert told[0]["open_batches"] == 1
    stack.cloud.tick()
    assert set(statuses().values()) == {DocumentStatus.FAILED}
    assert stack.cloud.paid() == []


def test_which_job_has_to_be_said_where_there_are_several(stack: Deployed) -> None:
    assert "nothing was dropped there yet" in stack("retry").said
    stack.cloud.upload({"one/a.md": b"# A", "two/b.md": b"# B"})
    assert "which job" in stack("cancel").said
    assert "there: one, two" in stack("retry", "--job", "three").said
    assert "not both" in stack("status", "out").err
    assert "--job is for --stack" in stack.docmill("status", "out", "--job", "one").err
    assert "Missing argument 'OUT'" in stack.docmill("status").err
