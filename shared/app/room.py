"""Room below `max_cost`: what doesn't fit waits for what is under way, and is held in the end."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from shared.app.candidates import still
from shared.app.deps import Deps
from shared.app.digest_notes import as_seen_by
from shared.app.earlier import Known
from shared.app.groups import change_job, mark_stale
from shared.app.parts import end_parts, wanted
from shared.app.requests import costs_at_most
from shared.app.slices import SLICE
from shared.domain.batch import LIVE, Batch
from shared.domain.document import Document, DocumentStatus, Failure, failed
from shared.domain.group import Group
from shared.domain.ids import JobName
from shared.domain.recipe import Recipe
from shared.domain.spend import HELD, committed, held_message
from shared.ports.store import StaleWrite


@dataclass(slots=True, kw_only=True)
class _Account:
    """One job's as it was added up, and what was planned since. `settles_at` is when a batch under
    way, whose cost isn't known yet, is looked at next; None when there is none."""

    taken: Decimal
    settles_at: datetime | None
    plans: int


class Room:
    """What jobs may still cost, for one round of submitting.

    A job's batches are added up once a round, not for each batch, as there may be thousands. What
    others plan meanwhile shows in the job's `plans`, which everybody raises once his plan is saved:
    of two that planned at the same time, one at least adds up anew and sees both.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._accounts: dict[JobName, _Account] = {}
        self.known = Known()

    def left(self, job: JobName, recipe: Recipe) -> Decimal | None:
        """US dollars that the next plan may cost; None where there is no limit."""
        if recipe.max_cost is None:
            return None
        return recipe.max_cost - self._account(job).taken

    def takes(self, batch: Batch, recipe: Recipe) -> bool:
        """Count a plan that was just saved. False when, beside the others, it is too much; what
        only copies answers costs nothing, and never is."""
        if recipe.max_cost is None:
            return True
        account = self._account(batch.job)
        written = change_job(
            self._deps.store, batch.job, lambda job: replace(job, plans=job.plans + 1)
        )
        if written.plans == account.plans + 1:
            account.plans = written.plans
            account.taken += batch.cost_at_most
            account.settles_at = account.settles_at or self._deps.clock()
        else:
            del self._accounts[batch.job]
            account = self._account(batch.job)
        return not batch.cost_at_most or account.taken <= recipe.max_cost

    def is_over(self, job: JobName, recipe: Recipe) -> bool:
        """Whether all that is planned and sent may cost more than it may."""
        return recipe.max_cost is not None and self._account(job).taken > recipe.max_cost

    def give_back(self, batch: Batch) -> None:
        """Count it no more: it was abandoned."""
        if batch.job in self._accounts:
            self._accounts[batch.job].taken -= batch.cost_at_most

    def wait_or_hold(self, group: Group, recipe: Recipe) -> None:
        """Leave the group alone for a while if a batch under way may cost less than is set aside
        for it; otherwise hold its documents, each by name, until somebody raises `max_cost`."""
        deps = self._deps
        settles_at = self._account(group.job).settles_at
        if settles_at is None:
            self._hold(group, recipe)
            return
        again = max(deps.clock() + deps.policy.poll_interval, settles_at)
        with suppress(StaleWrite):  # something came: it is looked at again
            deps.store.swap_group(replace(group, next_at=again))

    def _account(self, job: JobName) -> _Account:
        if job not in self._accounts:
            store = self._deps.store
            known = store.job(job)  # first: a plan that is saved after this is noticed
            batches = list(store.batches(job))
            self._accounts[job] = _Account(
                taken=committed(batches),
                settles_at=min((b.next_at for b in batches if b.status in LIVE), default=None),
                plans=known.plans if known else 0,
            )
        return self._accounts[job]

    def _hold(self, group: Group, recipe: Recipe) -> None:
        deps = as_seen_by(self._deps, group.job)
        if recipe.max_cost is None:
            raise AssertionError(f"nothing of job {group.job} is held without a limit")
        taken = self._account(group.job).taken
        found = deps.store.waiting(group.job, group.name)
        waiting = wanted(deps, group.job, still(deps, group.job, found, DocumentStatus.WAITING))
        documents: list[Document] = []
        held = 0
        message = ""
        for document, most in costs_at_most(deps, recipe, waiting):
            if taken + most <= recipe.max_cost:
                continue  # it came just now, or ends without a request
            message = held_message(most=most, max_cost=recipe.max_cost, taken=taken)
            failure = Failure(
                type=HELD, message=message, retryable=True, attempts=document.attempts
            )
            documents.append(failed(document, failure, now=deps.clock()))
            if len(documents) >= SLICE:
                held += self._write(documents)
                documents = []
        held += self._write(documents)
        deps.emit("documents_held", group=group.name, documents=held, message=message)

    def _write(self, documents: list[Document]) -> int:
        if not documents:
            return 0
        store, job = self._deps.store, documents[0].job
        mark_stale(store, job)
        ended = end_parts(self._deps, documents)
        lost = store.swap_documents(ended)
        mark_stale(store, job)
        written = (document for document in ended if document.path not in lost)
        self._deps.follow("documents_failed", written, type=HELD)
        return len(documents) - len(lost)


def wait_awhile(deps: Deps, group: Group) -> None:
    """Leave the group alone until what it waits for may be there."""
    again = deps.clock() + deps.policy.poll_interval
    with suppress(StaleWrite):  # something came: it is looked at again
        deps.store.swap_group(replace(group, next_at=again))
