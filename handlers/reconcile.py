"""What stands still is brought on, summaries are published, digests made. Triggered by a timer."""

import asyncio
from typing import Any

from handlers.events import Context, time_limit
from shared.app.digests import make_digests
from shared.app.publish import publish_if_due
from shared.app.reconcile import reconcile
from shared.ports.blobs import BlobUnreadable
from shared.wiring.aws import AwsHome, home
from shared.wiring.gauges import gauges


def handler(event: dict[str, Any], context: Context) -> dict[str, int]:
    """Settle doubt, restart what was lost, publish what changed, put digests together."""
    del event
    return asyncio.run(_reconcile(home(), context))


async def _reconcile(aws: AwsHome, context: Context) -> dict[str, int]:
    until = time_limit(context)
    published = 0
    async with aws.deps() as deps:
        found = await reconcile(deps, until=until)
        aws.ask_to_collect(found.to_collect)
        aws.tell("looked_after", **gauges(deps.store, now=deps.clock()))
        for job in list(deps.store.stale_jobs()):
            if deps.clock() >= until:
                break
            try:
                published += publish_if_due(deps, job)
            except BlobUnreadable:
                aws.log.exception("publishing_failed", job=job.name)
        digests = make_digests(deps, until=until)
    counts = {
        "adopted": found.adopted,
        "released": found.released,
        "undecided": found.undecided,
        "to_collect": len(found.to_collect),
        "published": published,
        "digests": digests,
    }
    aws.log.info("reconciled", **counts)
    return counts
