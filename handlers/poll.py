"""Batches that are due are looked at; ended ones go to the collect queue. Triggered by a timer."""

import asyncio
from typing import Any

from handlers.events import Context
from shared.app.poll import poll
from shared.wiring.aws import AwsHome, home


def handler(event: dict[str, Any], context: Context) -> dict[str, int]:
    """Look at what is due."""
    del event, context
    return asyncio.run(_poll(home()))


async def _poll(aws: AwsHome) -> dict[str, int]:
    async with aws.deps() as deps:
        polled = await poll(deps)
    aws.ask_to_collect(polled.ended)
    counts = {"checked": polled.checked, "ended": len(polled.ended)}
    aws.log.info("polled", **counts)
    return counts
