"""Results of ended batches become reports. Triggered by the collect queue."""

import asyncio
from typing import Any

from handlers.events import (
    Context,
    MalformedEvent,
    Record,
    batch_to_collect,
    failed_items,
    sqs_records,
    time_limit,
)
from shared.app.collect import Collected, collect
from shared.domain.ids import BatchId
from shared.ports.blobs import BlobError
from shared.ports.store import StaleWrite, StoreUnavailable
from shared.wiring.aws import AwsHome, home


def handler(event: dict[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Collect each batch named; one that outlives this invocation is queued once more."""
    return failed_items(asyncio.run(_collect(home(), sqs_records(event), context)))


async def _collect(aws: AwsHome, records: list[Record], context: Context) -> list[str]:
    failed: list[str] = []
    async with aws.deps() as deps:
        for record in records:
            try:
                batch = BatchId(batch_to_collect(record.body))
                outcome = await collect(deps, batch, until=time_limit(context))
            except (MalformedEvent, BlobError, StaleWrite, StoreUnavailable):
                failed.append(record.message_id)
                aws.log.exception("record_failed", message_id=record.message_id)
                continue
            if outcome is Collected.UNFINISHED:
                aws.ask_to_collect((batch,))
            aws.log.info("collected", batch=batch, outcome=outcome)
    return failed
