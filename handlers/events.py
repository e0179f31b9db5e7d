"""What AWS sends, read as it comes: SQS records, the S3 events inside them, ticks."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import unquote_plus

import msgspec

from shared.app.uploads import Upload
from shared.domain.ids import BATCH_ID_LENGTH

MAX_KEY_BYTES = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

_BATCH_ID = re.compile(f"[a-z0-9]{{{BATCH_ID_LENGTH}}}")
_LEFT = "docmill_left"
"""The only key of a message about the rest of an upload; S3 has none of this name."""

MARGIN = timedelta(seconds=20)
"""Time kept back for saving what was done before Lambda ends the process."""


class Context(Protocol):
    """The part of Lambda's context that is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


class MalformedEvent(Exception):
    """A record that isn't what its source sends; it belongs in the dead-letter queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One SQS record."""

    message_id: str
    body: str


def sqs_records(event: Mapping[str, Any]) -> list[Record]:
    """The records of an SQS event.

    Raises MalformedEvent where one has no id, and so could not be named as the one that failed.
    """
    try:
        found = [(record["messageId"], record.get("body")) for record in event["Records"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedEvent(f"not an SQS event: {error}") from error
    if not all(isinstance(name, str) and name for name, _ in found):
        raise MalformedEvent("not an SQS event: a record's messageId is not a text")
    return [
        Record(message_id=name, body=body if isinstance(body, str) else "") for name, body in found
    ]


def upload_records(event: Mapping[str, Any]) -> list[Record]:
    """The records of an SQS event; an S3 notification with no queue around it is one without an id.

    A person sends such a one. Raises MalformedEvent.
    """
    if _is_notification(event):
        return [Record(message_id="", body=json.dumps(event))]
    return sqs_records(event)


def _is_notification(event: object) -> bool:
    if not isinstance(event, Mapping):
        return False
    records = event.get("Records")
    of_s3 = isinstance(records, list) and all(
        isinstance(record, Mapping) and "s3" in record for record in records
    )
    return event.get("Event") == "s3:TestEvent" or (of_s3 and bool(records))


def uploads(body: str) -> Iterator[Upload]:
    """What a message of the upload queue asks to be looked at: an S3 notification's keys, or the
    rest of an earlier look. Raises MalformedEvent.
    """
    message = _object(body)
    if _LEFT not in message:
        yield from (Upload(key=key) for key in changed_keys(body))
        return
    try:
        yield msgspec.convert(message[_LEFT], Upload)
    except msgspec.ValidationError as error:
        raise MalformedEvent(f"not the rest of an upload: {error}") from error


def left_message(upload: Upload) -> str:
    """The message that has somebody go on with an upload."""
    return msgspec.json.encode({_LEFT: upload}).decode()


def changed_keys(body: str) -> Iterator[str]:
    """The object keys that an S3 notification says were created or removed, decoded; none for
    S3's test event. Raises MalformedEvent.
    """
    message = _object(body)
    if message.get("Event") == "s3:TestEvent":
        return
    records = message.get("Records")
    if not isinstance(records, list):
        raise MalformedEvent("an S3 notification without Records")
    for record in records:
        try:
            name, key = record["eventName"], record["s3"]["object"]["key"]
        except (KeyError, TypeError) as error:
            raise MalformedEvent(f"an S3 record without {error}") from error
        if not isinstance(name, str) or not isinstance(key, str):
            raise MalformedEvent("an S3 record whose name or key is not text")
        if name.removeprefix("s3:").startswith(("ObjectCreated:", "ObjectRemoved:")):
            yield _decoded(key)


def batch_to_collect(body: str) -> str:
    """The batch id of a message to the collect function. Raises MalformedEvent."""
    batch = _object(body).get("batch_id")
    if not isinstance(batch, str) or not _BATCH_ID.fullmatch(batch):
        raise MalformedEvent("a collect message without a batch_id")
    return batch


def time_limit(context: Context, margin: timedelta = MARGIN, *, shares: int = 1) -> datetime:
    """When to stop beginning new work in this invocation, `margin` before it ends.

    With `shares`, that time is shared between so many pieces of work, and this is the first.
    """
    left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    return datetime.now(UTC) + max(left - margin, left / 2) / shares


def failed_items(message_ids: list[str]) -> dict[str, list[dict[str, str]]]:
    """The answer that makes SQS bring back these messages and no others."""
    return {"batchItemFailures": [{"itemIdentifier": name} for name in message_ids]}


def _decoded(key: str) -> str:
    decoded = unquote_plus(key)
    try:
        size = len(decoded.encode())
    except UnicodeEncodeError as error:
        raise MalformedEvent("an S3 record whose key is not Unicode") from error
    if not 0 < size <= MAX_KEY_BYTES:
        raise MalformedEvent(f"an S3 record whose key has {size} bytes")
    return decoded


def _object(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedEvent(f"a body that is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise MalformedEvent("a body that is not a JSON object")
    return message
