"""Room below `max_cost`: what doesn't fit waits for what is under way, and is held in the end."""

from contextlib import suppress

from msgspec.structs import replace

from shared.app.candidates import still
from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.app.plan import Full
from shared.app.slices import slices
from shared.domain.document import DocumentStatus, Failure, failed
from shared.domain.group import Group
from shared.domain.ids import JobName
from shared.domain.recipe import Recipe
from shared.domain.spend import HELD, committed, under_way
from shared.ports.store import StaleWrite


def is_over(deps: Deps, recipe: Recipe, job: JobName) -> bool:
    """Whether all that is planned and sent may cost more than it may."""
    return recipe.max_cost is not None and committed(deps.store.batches(job)) > recipe.max_cost


def wait_for_room(deps: Deps, group: Group, full: Full) -> None:
    """Leave the group alone for a while if a batch under way may cost less than is set aside for
    it; otherwise hold its documents, each by name, until somebody raises `max_cost`."""
    live = under_way(deps.store.batches(group.job))
    if live:
        with suppress(StaleWrite):  # something came: it is looked at again
            soonest = deps.clock() + deps.policy.poll_interval
            again = max(soonest, min(batch.next_at for batch in live))
            deps.store.swap_group(replace(group, next_at=again))
        return
    found = deps.store.waiting(group.job, group.name)
    held = 0
    for part in slices(still(deps, group.job, found, DocumentStatus.WAITING)):
        mark_stale(deps.store, group.job)
        now = deps.clock()
        documents = [
            failed(
                each,
                Failure(type=HELD, message=full.message, retryable=True, attempts=each.attempts),
                now=now,
            )
            for each in part
        ]
        held += len(documents) - len(deps.store.swap_documents(documents))
        mark_stale(deps.store, group.job)
    deps.emit("documents_held", group=group.name, documents=held, message=full.message)
