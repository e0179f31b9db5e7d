"""`docmill redrive`: dead letters go back to the queues they failed in.

Each is sent first and deleted then: whatever dies in between, none is lost, and one that is there
twice does nothing twice. It is done here rather than by SQS's own move task, which not every region
and no stand-in has, tells nobody how many it moved, and needs the same permissions.
"""

from typing import Any

from handlers.cli.faults import Fault
from handlers.cli.process import on_leaving
from handlers.cli.session import LEFT_OPEN
from handlers.cli.stack.opened import opened
from handlers.cli.stack.transfer import tell
from handlers.cli.wording import counted
from shared.wiring.stack import Stack

_AT_ONCE = 10
"""Messages of one call (SQS quota)."""

_MAX_CALL_BYTES = 1 << 20
"""Of all messages of one call together (SQS quota)."""

_HIDDEN_S = 60
_LOOKS = 3
"""SQS may have shown less than there is: so many empty looks in a row mean that it is empty."""


def redrive(stack: str, *, as_json: bool) -> int:
    """Move all dead letters back; what dies anew meanwhile is left where it is."""
    # A message that was received is hidden until it is deleted, or the time is over.
    on_leaving(f"none is lost, and {_HIDDEN_S} seconds later the same command moves what is left")
    with opened(stack) as found:
        outputs = found.outputs
        uploads = _move(found, outputs.upload_dead_letters, outputs.upload_queue)
        collects = _move(found, outputs.collect_dead_letters, outputs.collect_queue)
        left = sum(
            waiting(found, queue)
            for queue in (outputs.upload_dead_letters, outputs.collect_dead_letters)
        )
    tell(
        f"{counted(uploads, 'upload')} and {counted(collects, 'collect message')} to be tried again"
        + (f"; {counted(left, 'dead letter')} left, see the log for why" if left else ""),
        event="redriven",
        facts={"stack": stack, "uploads": uploads, "collects": collects, "left": left},
        as_json=as_json,
    )
    return LEFT_OPEN if left else 0


def waiting(stack: Stack, queue: str) -> int:
    """How many messages a queue holds, about, those being worked on among them."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stack.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def _move(stack: Stack, dead: str, queue: str) -> int:
    """As many as lay there at first: one that fails again at once must not go round for ever."""
    most = waiting(stack, dead)
    moved = looks = 0
    while moved < most and looks < _LOOKS:
        answer = stack.sqs.receive_message(
            QueueUrl=dead,
            MaxNumberOfMessages=min(_AT_ONCE, most - moved),
            VisibilityTimeout=_HIDDEN_S,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        looks = 0 if messages else looks + 1
        for part in _within_a_call(messages):
            _send(stack.sqs, queue, part)
            _delete(stack.sqs, dead, part)
            moved += len(part)
    return moved


def _within_a_call(messages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    parts: list[list[dict[str, Any]]] = []
    held = 0
    for message in messages:
        length = len(message["Body"].encode()) + len(str(message.get("MessageAttributes", "")))
        if not parts or held + length > _MAX_CALL_BYTES:
            parts.append([])
            held = 0
        parts[-1].append(message)
        held += length
    return parts


def _send(sqs: Any, queue: str, messages: list[dict[str, Any]]) -> None:
    entries = [
        {"Id": str(place), "MessageBody": message["Body"]}
        | (
            {"MessageAttributes": message["MessageAttributes"]}
            if "MessageAttributes" in message
            else {}
        )
        for place, message in enumerate(messages)
    ]
    _check(sqs.send_message_batch(QueueUrl=queue, Entries=entries), "sent back")


def _delete(sqs: Any, queue: str, messages: list[dict[str, Any]]) -> None:
    entries = [
        {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
        for place, message in enumerate(messages)
    ]
    _check(sqs.delete_message_batch(QueueUrl=queue, Entries=entries), "removed")


def _check(answer: dict[str, Any], done: str) -> None:
    if failed := answer.get("Failed"):
        raise Fault(
            f"{counted(len(failed), 'dead letter')} could not be {done} ({failed[0].get('Code')}); "
            "nothing is lost, run the same command again"
        )
