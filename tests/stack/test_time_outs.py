"""A collect that outlives its time: it hands itself on, or is really killed; nothing is lost.

The output bucket keeps versions, so it tells how often each report was written.
"""

import json
import threading
from collections.abc import Iterator

import pytest

from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.core import Simulator
from shared.domain.batch import BatchStatus
from tests.stack.deployed import RECIPE, Deployed

DOCUMENTS = 600
FLUSHED = 250
"""Results that collect settles at once; see shared/app/results.py."""

STILL_AFTER = 500
"""Results come in pieces of 256 KB, of which the last two may be on their way still."""

LONGEST_S = 120.0


class Standstill:
    """Results that come up to a line and then not, once: until `over`, or for some seconds."""

    def __init__(self, *, seconds: float = LONGEST_S) -> None:
        self.over = threading.Event()
        self.met = threading.Event()
        self._seconds = seconds

    def put_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = Simulator._lines

        def lines(simulator: Simulator, batch: SimulatedBatch) -> Iterator[bytes]:
            for number, line in enumerate(plain(simulator, batch)):
                if number == STILL_AFTER and not self.met.is_set():
                    self.met.set()
                    self.over.wait(self._seconds)
                yield line

        monkeypatch.setattr(Simulator, "_lines", lines)


def submitted(stack: Deployed, job: str) -> None:
    """A batch on its way, of the rows of a manifest."""
    rows = "".join(f'{{"id": "{n:03}", "text": "about {n}"}}\n' for n in range(DOCUMENTS))
    stack.upload(job, {"_recipe.md": RECIPE, "rows.jsonl": rows.encode()})
    stack.until(lambda: stack.waiting("UploadQueue") == 0, "uploads are left")
    stack.upload(job, {"_READY": b""})
    stack.until(lambda: len(stack.paid(job)) == DOCUMENTS, "not all were submitted")
    assert len(stack.batches(job)) == 1


def is_collected(stack: Deployed, job: str) -> bool:
    return all(batch.status is BatchStatus.COLLECTED for batch in stack.batches(job))


def all_reported_once(stack: Deployed, job: str) -> None:
    assert stack.reports(job) == {f"{n:03}.md": 1 for n in range(DOCUMENTS)}
    [batch] = stack.batches(job)
    assert batch.totals is not None
    assert batch.totals.reported == DOCUMENTS
    assert len(stack.paid(job)) == len(set(stack.paid(job))) == DOCUMENTS


def events_of(stack: Deployed, batch: str) -> str:
    """What the functions' logs tell of a batch, by and by."""
    lines = [
        line for line in stack.aws.log().splitlines() if line.startswith(f'{{"batch": "{batch}"')
    ]
    found = [json.loads(line) for line in lines]
    return " ".join(str(line.get("outcome", line["event"])) for line in found)


def test_a_collect_that_outlives_its_time_hands_itself_on_and_writes_each_report_once(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 30 seconds it begins nothing new after 15; the results stand still for 16."""
    job = "handed-on"
    stack.hide("UploadQueue", 60)
    stack.hide("CollectQueue", 180)
    stack.configure("Collect", Timeout=30)
    Standstill(seconds=16).put_into(monkeypatch)
    submitted(stack, job)
    stack.until(lambda: is_collected(stack, job), "it isn't collected", meanwhile=["Poll"])
    steps = events_of(stack, stack.batches(job)[0].id)
    first, unfinished, rest = steps.partition(" unfinished ")
    assert unfinished
    for part in (first, rest):
        assert "documents_reported" in part
    assert "unfinished" not in rest
    all_reported_once(stack, job)


def test_a_collect_that_is_killed_at_its_time_out_is_done_when_the_message_comes_back(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message comes back once the lease of the dead is over, as after 90 minutes on AWS."""
    job = "killed"
    stack.hide("UploadQueue", 60)
    stack.hide("CollectQueue", 40)
    stack.configure("Collect", Timeout=15)
    still = Standstill()
    still.put_into(monkeypatch)
    submitted(stack, job)
    stack.until(still.met.is_set, "nothing is collected", meanwhile=["Poll"])
    stack.until(lambda: "timed out after 15" in stack.aws.log(), "it isn't killed")
    still.over.set()
    assert len(stack.reports(job)) == FLUSHED
    stack.pass_leases(job)
    stack.until(lambda: is_collected(stack, job), "the message doesn't come back")
    all_reported_once(stack, job)
    assert stack.waiting("CollectDeadLetters") == 0
