"""Batches that are due are looked at; ended ones go to the collect queue. Triggered by a timer."""

import asyncio
from datetime import timedelta
from typing import Any

from handlers.events import Context, time_limit
from shared.app.poll import poll_until
from shared.wiring.aws import AwsHome, home

_SAVING = timedelta(seconds=10)
"""Room for what the last answers lead to: a write and a message each."""


def handler(event: dict[str, Any], context: Context) -> dict[str, int]:
    """Look at what is due; what this tick doesn't manage, the next does.

    Each ended batch is queued as it is found: a tick that is killed loses none but the one at hand,
    and reconcile queues that.
    """
    del event
    return asyncio.run(_poll(home(), context))


async def _poll(aws: AwsHome, context: Context) -> dict[str, int]:
    async with aws.deps() as deps:
        polled = await poll_until(
            deps,
            time_limit(context, _SAVING),
            tell=lambda batch: aws.ask_to_collect((batch,)),
            sleep=asyncio.sleep,
        )
    counts = {"checked": polled.checked, "ended": len(polled.ended)}
    aws.log.info("polled", **counts)
    return counts
