"""Uploads become waiting documents. Triggered by S3 notifications that come through SQS."""

import asyncio
from contextlib import suppress
from typing import Any

from handlers.events import (
    Context,
    MalformedEvent,
    Record,
    failed_items,
    left_message,
    time_limit,
    upload_records,
    uploads,
)
from shared.app.deps import Deps
from shared.app.intake import Taken
from shared.app.sightings import READY_NAME
from shared.app.uploads import take_together, take_upload
from shared.wiring.aws import AwsHome, home


def handler(event: dict[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Take in every upload named; messages that fail are brought back by SQS, the others not."""
    return failed_items(asyncio.run(_take(home(), upload_records(event), context)))


async def _take(aws: AwsHome, records: list[Record], context: Context) -> list[str]:
    failed: list[str] = []
    ready = False
    async with aws.deps() as deps:
        total, alone = _together(aws, deps, records, context)
        for place, record in enumerate(alone):
            until = time_limit(context, shares=len(alone) - place)
            try:
                for upload in uploads(record.body):
                    done = take_upload(deps, upload, until=until)
                    total += done.taken
                    ready |= upload.key.endswith(f"/{READY_NAME}")
                    if done.left is not None:
                        aws.ask_to_go_on(left_message(done.left))
            except Exception:  # whatever it is: one message must not bring back all the others
                if not record.message_id:
                    raise  # no queue brings it back
                failed.append(record.message_id)
                aws.log.exception("record_failed", message_id=record.message_id)
    if ready:
        aws.ask_to_submit()
    aws.tell(
        "uploads_taken_in",
        records=len(records),
        records_failed=len(failed),
        new=total.new,
        changed=total.changed,
        unchanged=total.unchanged,
        unusable=total.unusable,
    )
    return failed


def _together(
    aws: AwsHome, deps: Deps, records: list[Record], context: Context
) -> tuple[Taken, list[Record]]:
    """Take in all plain documents at once; the records whose uploads are to be looked at one by
    one, which are all of them where that fails."""
    asked: dict[str, set[str]] = {}
    for record in records:
        with suppress(MalformedEvent):
            seen = list(uploads(record.body))
            if all(upload.source is None for upload in seen):
                asked[record.message_id] = {upload.key for upload in seen}
    keys = [key for of_record in asked.values() for key in of_record]
    try:
        taken, done = take_together(deps, keys, until=time_limit(context, shares=2))
    except Exception:
        aws.log.exception("taking_together_failed", records=len(asked))
        return Taken(), records
    return taken, [
        record
        for record in records
        if record.message_id not in asked or asked[record.message_id] - done
    ]
