"""Ripe groups become batches. Triggered by a timer."""

import asyncio
from datetime import timedelta
from typing import Any

from handlers.events import Context, time_limit
from shared.app.submit import submit
from shared.wiring.aws import AwsHome, home

_WHOLE_BATCH = timedelta(minutes=4)
"""Room for the largest batch: no new one is begun later than this before the end."""


def handler(event: dict[str, Any], context: Context) -> dict[str, int]:
    """Submit what is ripe; what this tick doesn't manage, the next does."""
    del event
    return asyncio.run(_submit(home(), context))


async def _submit(aws: AwsHome, context: Context) -> dict[str, int]:
    async with aws.deps() as deps:
        done = await submit(deps, until=time_limit(context, _WHOLE_BATCH))
    counts = {
        "batches": done.batches,
        "requests": done.requests,
        "in_doubt": done.in_doubt,
        "refused": done.refused,
    }
    aws.log.info("submitted", **counts, paused=done.pause.reason if done.pause else None)
    return counts
