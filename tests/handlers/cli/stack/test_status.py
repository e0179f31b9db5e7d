"""Where the jobs of a stack stand: as published, and what only the moment knows."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers import submit
from shared.adapters.dynamo_store import DynamoStore
from shared.app.groups import change_job
from shared.domain.document import Failure
from shared.domain.ids import JobName
from shared.domain.pause import Pause, PauseReason
from shared.wiring.ambient import utc_now
from shared.wiring.aws import home
from tests.handlers.cli.stack.deployed import RECIPE, Deployed


def finished(stack: Deployed, job: str, count: int) -> None:
    """A job that is at its end."""
    stack.cloud.upload({f"{job}/_recipe.md": RECIPE.encode()})
    stack.cloud.upload({f"{job}/{n}.md": b"# %d" % n for n in range(count)})
    stack.cloud.upload({f"{job}/_READY": b""})
    assert stack.cloud.take_uploads() == []
    stack.cloud.settle(job)


def test_several_jobs_are_listed_and_one_is_shown(stack: Deployed) -> None:
    empty = stack("status")
    assert (empty.status, empty.err) == (3, "")
    assert "nothing was dropped" in empty.out
    finished(stack, "alpha", 3)
    finished(stack, "beta [red]", 2)
    shown = stack("status")
    assert (shown.status, shown.err) == (0, "")
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0][:3] == ["job", "waiting", "in"]
    assert lines[1][:5] == ["alpha", "0", "0", "3", "0"]
    assert lines[2][:6] == ["beta", "[red]", "0", "0", "2", "0"]
    [told] = stack("status", "--json").events
    assert [job["job"] for job in told["jobs"]] == ["alpha", "beta [red]"]
    one = stack("status", "--job", "alpha")
    assert one.status == 0
    assert "3 of 3 documents reported" in one.out
    assert "no job gamma; there: alpha, beta [red]" in stack("status", "--job", "gamma").said


def test_what_changed_since_is_said_to_follow(stack: Deployed) -> None:
    finished(stack, "alpha", 1)
    change_job(
        home().store,
        JobName("alpha"),
        lambda job: replace(job, stale=True, published_at=utc_now() - timedelta(minutes=7)),
    )
    shown = stack("status")
    assert shown.status == 3
    assert "as published 0:07:0" in shown.out
    assert "what changed since follows" in shown.out
    [told] = stack("status", "--job", "alpha", "--json").events
    assert told["stale"] is True


def test_live_batches_a_pause_and_a_held_job_are_told(stack: Deployed) -> None:
    finished(stack, "alpha", 1)
    stack.cloud.upload({"alpha/new.md": b"# New", "alpha/_READY": b"", "beta/a.md": b"# A"})
    assert stack.cloud.take_uploads() == []
    assert submit.handler({}, stack.cloud.invocation)["requests"] == 1
    problem = Failure(type="recipe_missing", message="job 'beta' has no recipe")
    change_job(home().store, JobName("beta"), lambda job: replace(job, problem=problem))
    until = utc_now() + timedelta(hours=1)
    low = Pause(until=until, reason=PauseReason.LOW_CREDIT, message="credit is low")
    home().store.swap_pause(low)
    shown = stack("status", "--job", "alpha")
    assert shown.status == 3
    assert "in_progress: 1 request, msgbatch_" in shown.out
    assert "submitting waits until" in shown.out
    assert "credit is low" in shown.out
    held = stack("status", "--job", "beta")
    assert held.status == 3
    assert "held: job 'beta' has no recipe" in held.out
    assert "beta (held)" in stack("status").out
    [told] = stack("status", "--job", "alpha", "--json").events
    assert told["pause"]["reason"] == "low_credit"
    assert [batch["status"] for batch in told["live_batches"]] == ["in_progress"]


def test_no_document_is_read(stack: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(stack, "alpha", 2)

    def reads(*_: Any, **__: Any) -> Any:
        raise AssertionError("a document was read")

    for name in ("all_documents", "count", "failed", "waiting", "documents", "batches"):
        monkeypatch.setattr(DynamoStore, name, reads)
    assert stack("status").status == 0
    assert stack("status", "--job", "alpha", "--json").status == 0


def test_somebodys_file_in_the_place_of_a_summary_is_none(stack: Deployed) -> None:
    stack.cloud.s3.put_object(
        Bucket=stack.cloud.output, Key="alpha/summary.json", Body=json.dumps({"job": 1}).encode()
    )
    shown = stack("status")
    assert (shown.status, shown.err) == (3, "")
    assert "nothing is published of it yet" in shown.out
