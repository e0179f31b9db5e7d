"""Collecting on a laptop: all that has ended, a few batches side by side.

Most of its time is the wait for answers; what they lead to is done one at a time anyway.
"""

import asyncio

from shared.app.collect import Collected, collect
from shared.app.deps import Deps
from shared.app.groups import wake_groups
from shared.app.pauses import ending_pause
from shared.domain.batch import Batch, BatchStatus
from shared.domain.policy import EVER, MAX_BATCH_REQUESTS

_AT_ONCE = 4
_HELD = 100_000
_LOOK_S = 1.0
"""How often to see, while large ones are under way, whether more has ended."""


async def collect_ended(deps: Deps, *, take_over: bool = False) -> None:
    """Collect until nothing more is due, what ends meanwhile included.

    Batches side by side are together no larger than one may be, so that their lists take no more
    memory. With `take_over`, also what a dead process held; only for a home with a single process.
    """
    running: dict[asyncio.Task[Collected], Batch] = {}
    held: list[Batch] = []
    if take_over:
        held = deps.store.due(BatchStatus.ENDED, now=deps.clock() + EVER, limit=_HELD)
    try:
        while True:
            under_way = {batch.id for batch in running.values()}
            due = held or deps.store.due(BatchStatus.ENDED, now=deps.clock(), limit=2 * _AT_ONCE)
            for batch in [batch for batch in due if batch.id not in under_way]:
                if ending_pause(deps) or not _fits(batch, list(running.values())):
                    break
                running[asyncio.create_task(collect(deps, batch.id, take_over=take_over))] = batch
                held = held[1:]
            if not running:
                return
            await asyncio.wait(running, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                batch = running.pop(task)
                if task.result() is Collected.DONE:
                    wake_groups(deps.store, batch.job, now=deps.clock())
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _fits(batch: Batch, others: list[Batch]) -> bool:
    size = batch.size + sum(other.size for other in others)
    return not others or (len(others) < _AT_ONCE and size <= MAX_BATCH_REQUESTS)
