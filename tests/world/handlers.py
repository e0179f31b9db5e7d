"""What starts use cases: the functions behind the queues and timers, with messages in their hands.

They do what those in `handlers/` do, over ports that pass the gate.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.app.collect import Collected, collect
from shared.app.control import cancel, cancel_beside, requeue, requeue_unpaid
from shared.app.deps import Deps
from shared.app.drive import AccessRefused, drive
from shared.app.gone import forget_gone
from shared.app.intake import take_in
from shared.app.poll import poll
from shared.app.publish import publish
from shared.app.reconcile import reconcile
from shared.app.sightings import is_document, sightings_of
from shared.app.submit import submit
from shared.app.uploads import Upload, take_together, take_upload
from shared.domain.document import Sighting
from shared.domain.ids import BatchId, JobName
from shared.ports.blobs import BlobError
from shared.ports.store import StaleWrite, StoreUnavailable
from tests.world.gate import Gate
from tests.world.runs import run_alone
from tests.world.weather import QUEUE_FAULTS

PASSING = (BlobError, AccessRefused, StaleWrite, StoreUnavailable)
"""What a further try mends: the message comes back, the next tick does it, a person starts anew."""

LIVES = {
    "intake": timedelta(seconds=300),
    "submit": timedelta(seconds=580),
    "poll": timedelta(seconds=50),
    "collect": timedelta(seconds=900),
    "reconcile": timedelta(seconds=280),
    "retry": timedelta(seconds=300),
    "cancel": timedelta(seconds=300),
    "drive": timedelta(days=100),
}
"""Time-outs as in infra/template.yaml; the last three are a person's commands."""


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One invocation of one function."""

    deps: Deps
    gate: Gate
    ask_to_collect: Callable[[BatchId], None]
    until: datetime

    def drive(self, job: JobName, sleep: Callable[[float], Awaitable[None]]) -> None:
        """The laptop's run, from the walk through the input to the summary."""
        forget_gone(self.deps, job)
        requeue_unpaid(self.deps, job)
        taken = take_in(self.deps, job, self._walked(job), ready=True)
        self.gate.tell("took in", taken)
        run_alone(drive(self.deps, sleep=sleep))
        publish(self.deps, job)

    def _walked(self, job: JobName) -> Iterator[Sighting]:
        prefix, recipe = f"{job}/", self.deps.recipe(job)
        for found in self.deps.documents.list(prefix):
            if is_document(path := found.key.removeprefix(prefix)):
                yield from sightings_of(self.deps.documents, found, path, recipe=recipe)

    def intake(self, keys: list[str], failed: list[str]) -> None:
        """Take in each; those that failed come back."""
        done: set[str] = set()
        try:
            together, done = take_together(self.deps, keys)
        except (BlobError, StoreUnavailable) as error:
            self.gate.tell("failed to take in together", *keys, fault=str(error))
        else:
            self.gate.tell("took in", *sorted(done), together)
        for key in keys:
            if key in done:
                continue
            try:
                taken = take_upload(self.deps, Upload(key=key)).taken
            except (BlobError, StoreUnavailable) as error:
                self.gate.tell("failed to take in", key, fault=str(error))
                failed.append(key)
            else:
                self.gate.tell("took in", key, taken)

    def submit(self) -> None:
        """The timer's submit."""
        done = run_alone(submit(self.deps, until=self.until))
        self.gate.tell("submitted", f"{done.batches} batches, {done.in_doubt} in doubt")

    def poll(self) -> None:
        """The timer's poll."""
        run_alone(poll(self.deps, tell=lambda batch: self._ask((batch,))))

    def collect(self, batch: BatchId) -> None:
        """The queue's collect."""
        outcome = run_alone(collect(self.deps, batch, until=self.until))
        self.gate.tell("collected", batch, "→", outcome)
        if outcome is Collected.UNFINISHED:
            self._ask((batch,))

    def reconcile(self) -> None:
        """The timer's reconcile, which publishes too."""
        self._ask(run_alone(reconcile(self.deps)).to_collect)
        for job in list(self.deps.store.stale_jobs()):
            publish(self.deps, job.name)

    def retry(self, job: JobName) -> None:
        """A person has failures tried again."""
        self.gate.tell("retried", requeue(self.deps, job, final=True))

    def cancel(self, job: JobName) -> None:
        """A person cancels a job."""
        self.gate.tell("canceled", run_alone(cancel(self.deps, job)))

    def cancel_beside(self, job: JobName) -> None:
        """A round of canceling a job that functions work on."""
        done = cancel_beside(self.deps, job)
        self.gate.tell("canceled", done.waited, done.asked, done.open)

    def _ask(self, batches: tuple[BatchId, ...]) -> None:
        for batch in batches:
            self.gate.call(
                "queue.send",
                QUEUE_FAULTS,
                lambda batch=batch: self.ask_to_collect(batch),  # type: ignore[misc]  # mypy doesn't infer a default
                batch,
            )
