"""A run that makes each function do everything it can be asked for, one function at a time."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from handlers import collect, intake, poll, reconcile, submit
from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from shared.domain.batch import BatchStatus
from shared.domain.digest import digest_job
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.summary import OPEN
from shared.wiring.ambient import utc_now
from shared.wiring.aws import home
from tests.faults.cloud import batches, pass_leases
from tests.handlers.aws_home import JOB, Cloud, sqs_event
from tests.infra.calls import Calls

ODD_NAME = "odd//name\x01.md"
"""A key that obstore can't say, so boto3 says it."""

_PATIENCE_S = 30.0


class Run:
    """The functions, each noted as itself."""

    def __init__(self, aws: Cloud, calls: Calls) -> None:
        self.aws = aws
        self.calls = calls
        self.intake = self._noted(intake)
        self.submit = self._noted(submit)
        self.poll = self._noted(poll)
        self.collect = self._noted(collect)
        self.reconcile = self._noted(reconcile)

    def take_uploads(self) -> None:
        for messages in self.aws.taken(self.aws.uploads):
            self.aws.invoke(self.intake, self.aws.uploads, messages)

    def collect_all(self) -> None:
        for messages in self.aws.taken(self.aws.collects):
            self.aws.invoke(self.collect, self.aws.collects, messages)

    def upload(self, documents: dict[str, bytes], *, job: str = JOB) -> None:
        self.aws.upload({f"{job}/{path}": data for path, data in documents.items()})
        self.take_uploads()

    def tell_of(self, key: str, name: str) -> None:
        """Bring intake a notification that moto doesn't send."""
        record = {"eventName": name, "s3": {"object": {"key": key}}}
        body = json.dumps({"Records": [record]})
        message = {"MessageId": "m", "ReceiptHandle": "r", "Body": body, "MD5OfBody": ""}
        self.intake(sqs_event([message]), self.aws.invocation)

    def until_ended(self) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not self.poll({}, self.aws.invocation)["ended"]:
            assert time.monotonic() < end
            time.sleep(0.05)

    def settle(self, job: str = JOB) -> None:
        end = time.monotonic() + _PATIENCE_S
        while True:
            self.submit({}, self.aws.invocation)
            self.poll({}, self.aws.invocation)
            self.collect_all()
            self.reconcile({}, self.aws.invocation)
            counts = home().store.count(JobName(job)).values()
            if not any(
                group.get(status) for group in counts for status in (*OPEN, DocumentStatus.IN_PARTS)
            ):
                return
            assert time.monotonic() < end
            time.sleep(0.1)

    def _noted(self, module: ModuleType) -> Callable[..., Any]:
        function = module.__name__.rpartition(".")[2].title()

        def noted(*arguments: Any) -> Any:
            if not any("secret" in asked.action for asked in self.calls.by_function[function]):
                home()._key.at = float("-inf")  # each function is a process of its own
            with self.calls.of(function):
                return module.handler(*arguments)

        return noted


def live_through_everything(aws: Cloud, calls: Calls, patch: pytest.MonkeyPatch) -> None:
    """Uploads of every kind, batches of every fate, faults of every function's own."""
    run = Run(aws, calls)
    patch.setattr("shared.app.intake.SLICE", 5)
    patch.setattr("shared.app.results._FLUSH_LINES", 2)
    documents = {f"{n}.md": b"# %d" % n for n in range(6)} | {ODD_NAME: b"# odd"}
    run.upload({"rows.csv": b"id,text\na,1\nb,2\n", "empty.md": b"", **documents})
    _remove(run, "5.md")
    run.upload({"1.md": b"# changed"})
    run.upload({"notes.md": b"# no recipe yet", "_READY": b""}, job="minutes")
    run.submit({}, aws.invocation)
    recipe = b"---\nmodel: claude-opus-4-6\nmax_cost: 0.000001\n---\n{{ document.text }}"
    run.upload({"_recipe.md": recipe, "_READY": b""}, job="minutes")

    # What runs out of time hands itself on.
    aws.invocation.remaining_ms = 0
    run.upload({"long.jsonl": b"".join(b'{"id": "%d"}\n' % n for n in range(12))})
    aws.invocation.remaining_ms = 300_000

    run.upload({"_READY": b""})
    run.submit({}, aws.invocation)
    run.until_ended()
    aws.invocation.remaining_ms = 0
    [messages] = aws.taken(aws.collects)
    aws.invoke(run.collect, aws.collects, messages)
    aws.invocation.remaining_ms = 300_000
    run.settle()
    run.upload({"_recipe.md": recipe.replace(b"max_cost: 0.000001\n", b"")})
    _remove(run, "0.md")

    _in_doubt(run, "adopted", Cut.AFTER)
    _in_doubt(run, "released", Cut.BEFORE)
    _lost_message(run)
    _refused(run)
    _changed_while_waiting(run)
    _paused(run)
    _out_of_credit(run)
    _vanished(run)
    _copied(run)
    _cut_off(run, recipe)
    _too_long(run)
    _digest(run)
    _closed(run)
    _fields(run, patch)


def _remove(run: Run, path: str) -> None:
    run.aws.s3.delete_object(Bucket=run.aws.input, Key=f"{JOB}/{path}")
    run.tell_of(f"{JOB}/{path}", "ObjectRemoved:Delete")


def _in_doubt(run: Run, name: str, cut: Cut) -> None:
    run.upload({f"{name}.md": b"# " + name.encode(), "_READY": b""})
    run.aws.provider.simulator.faults.script.append(Fault(call=Call.CREATE, cut=cut))
    run.submit({}, run.aws.invocation)
    for _ in range(4):
        pass_leases()
        run.reconcile({}, run.aws.invocation)
    run.settle()


def _lost_message(run: Run) -> None:
    run.upload({"lost.md": b"# lost", "_READY": b""})
    run.submit({}, run.aws.invocation)
    run.until_ended()
    for messages in run.aws.taken(run.aws.collects):
        for each in messages:
            run.aws.sqs.delete_message(
                QueueUrl=run.aws.collects, ReceiptHandle=each["ReceiptHandle"]
            )
    run.reconcile({}, run.aws.invocation)
    run.settle()


def _refused(run: Run) -> None:
    run.upload({"refused.md": b"# refused", "_READY": b""})
    run.aws.provider.simulator.faults.script.append(Fault(call=Call.CREATE, status=400))
    run.submit({}, run.aws.invocation)
    run.settle()


def _changed_while_waiting(run: Run) -> None:
    """A document that changes after it was submitted, and one that goes."""
    run.upload({"late.md": b"# late", "gone.md": b"# gone", "_READY": b""})
    run.submit({}, run.aws.invocation)
    run.upload({"late.md": b"# later"})
    _remove(run, "gone.md")
    run.settle()


def _paused(run: Run) -> None:
    run.upload({"paused.md": b"# paused", "_READY": b""})
    run.aws.provider.simulator.faults.script.append(Fault(call=Call.CREATE, status=429))
    run.submit({}, run.aws.invocation)
    _go_on(run)


def _out_of_credit(run: Run) -> None:
    run.aws.provider.simulator.faults.out_of_credit = True
    run.upload({"credit.md": b"# credit", "_READY": b""})
    run.submit({}, run.aws.invocation)
    run.until_ended()
    run.collect_all()
    run.aws.provider.simulator.faults.out_of_credit = False
    _go_on(run)


def _go_on(run: Run) -> None:
    """Let the time of a pause, and of a put-off batch, be over."""
    pause = home().store.pause()
    assert pause is not None
    home().store.swap_pause(replace(pause, until=utc_now()))
    pass_leases()
    run.settle()
    assert home().store.pause() is None


def _vanished(run: Run) -> None:
    run.upload({"vanished.md": b"# vanished", "_READY": b""})
    run.submit({}, run.aws.invocation)
    [batch] = batches(BatchStatus.IN_PROGRESS)
    long_ago = utc_now() - timedelta(days=3)
    home().store.swap_batch(replace(batch, not_found_since=long_ago, tries=100))
    pass_leases()
    run.aws.provider.simulator.faults.script.append(Fault(call=Call.RETRIEVE, status=404))
    run.poll({}, run.aws.invocation)
    pass_leases()
    run.settle()


def _copied(run: Run) -> None:
    """A document that is there already under another name."""
    run.upload({"copy.md": b"# refused by nobody", "_READY": b""})
    run.settle()
    run.upload({"again.md": b"# refused by nobody", "_READY": b""})
    run.settle()


def _cut_off(run: Run, recipe: bytes) -> None:
    """An answer that is cut off, and goes on."""
    run.upload({"_recipe.md": recipe.replace(b"max_cost: 0.000001\n", b"continue: 1\n")})
    run.upload({"long.md": b"# long", "_READY": b""})
    run.aws.provider.simulator.faults.truncate_rate = 1.0
    run.submit({}, run.aws.invocation)
    run.until_ended()
    run.collect_all()
    run.aws.provider.simulator.faults.truncate_rate = 0.0
    pass_leases()
    run.settle()


def _too_long(run: Run) -> None:
    """A document in parts that changes once they are answered, and one that goes then."""
    recipe = b"---\nmodel: claude-haiku-4-5\n---\n{{ document.text }}"
    text = b"word " * 205_000
    run.upload(
        {"_recipe.md": recipe, "a.md": text, "b.md": b"# b\n" + text, "_READY": b""}, job="long"
    )
    run.submit({}, run.aws.invocation)
    run.until_ended()
    run.collect_all()
    run.upload({"a.md": b"# another\n" + text, "_READY": b""}, job="long")
    run.aws.s3.delete_object(Bucket=run.aws.input, Key="long/b.md")
    run.tell_of("long/b.md", "ObjectRemoved:Delete")
    run.settle("long")
    assert home().store.count(JobName("long")) == {"": {DocumentStatus.REPORTED: 1}}


def _digest(run: Run) -> None:
    """A digest of the group of a job."""
    recipe = b"---\nmodel: claude-haiku-4-5\nmax_wait: 1s\n---\n{{ document.text }}"
    run.upload({"_digest.md": recipe, "_READY": b""}, job="long")
    end = time.monotonic() + _PATIENCE_S
    while not home().store.count(digest_job(JobName("long"))):
        assert time.monotonic() < end
        run.reconcile({}, run.aws.invocation)
        time.sleep(0.1)
    run.settle(digest_job(JobName("long")))
    assert "long/_digest.md" in run.aws.keys("long/")


def _closed(run: Run) -> None:
    """A group in which nothing came for long."""
    [group] = home().store.groups(JobName(JOB))
    long_ago = utc_now() - timedelta(hours=1)
    home().store.swap_group(replace(group, touched=long_ago, ready=True))
    run.submit({}, run.aws.invocation)
    assert list(home().store.groups(JobName(JOB))) == []


def _fields(run: Run, patch: pytest.MonkeyPatch) -> None:
    """A recipe with fields: reports of another kind in the place of the former ones, and tables."""
    patch.setattr("shared.app.row_parts.MOST_PARTS", 1)
    recipe = b"---\nmodel: claude-opus-4-6\n%b---\n{{ document.text }}"
    run.upload({"_recipe.md": recipe % b"output: json\nfields: {score: integer}\n"})
    for name in (b"first", b"second"):
        run.upload({"1.md": b"# " + name, name.decode(): name, "_READY": b""})
        run.settle()
    job = home().store.job(JobName(JOB))
    assert job is not None
    home().store.swap_job(replace(job, stale=True, published_at=None, publish_tries=0))
    run.reconcile({}, run.aws.invocation)
    assert f"{JOB}/results.parquet" in run.aws.keys(f"{JOB}/")
