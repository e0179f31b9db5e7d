"""Dead letters go back, none is lost, and none goes round for ever."""

import json
from typing import Any

import pytest

from handlers.cli.stack import redrive as redriving
from tests.handlers.cli.stack.deployed import Deployed


def bury(stack: Deployed, queue: str, bodies: list[str]) -> None:
    for body in bodies:
        stack.cloud.sqs.send_message(QueueUrl=queue, MessageBody=body)


def bodies(stack: Deployed, queue: str) -> list[str]:
    return sorted(m["Body"] for messages in stack.cloud.taken(queue) for m in messages)


def test_a_dead_upload_is_taken_in_after_all(stack: Deployed) -> None:
    aws = stack.cloud
    aws.upload({"review/a.md": b"# A"})
    [[message]] = list(aws.taken(aws.uploads))
    bury(stack, stack.dead_uploads, [message["Body"]])
    shown = stack("status")
    assert shown.status == 3
    assert "1 upload failed again and again" in shown.out

    done = stack("redrive")
    assert (done.status, done.err) == (0, "")
    assert "1 upload and 0 collect messages to be tried again" in done.out
    assert stack.waiting(stack.dead_uploads) == 0
    assert aws.take_uploads() == []
    assert "review" in stack("status").out


def test_all_of_both_queues_go_back_with_what_they_carry(stack: Deployed) -> None:
    letters = [json.dumps({"letter": n}) for n in range(23)]
    bury(stack, stack.dead_uploads, letters)
    stack.cloud.sqs.send_message(
        QueueUrl=stack.dead_collects,
        MessageBody="with an attribute",
        MessageAttributes={"trace": {"DataType": "String", "StringValue": "1"}},
    )
    [told] = stack("redrive", "--json").events
    assert (told["uploads"], told["collects"], told["left"]) == (23, 1, 0)
    assert bodies(stack, stack.cloud.uploads) == sorted(letters)
    [message] = stack.cloud.sqs.receive_message(
        QueueUrl=stack.cloud.collects, MessageAttributeNames=["All"]
    )["Messages"]
    assert message["MessageAttributes"]["trace"]["StringValue"] == "1"


def test_one_that_dies_again_at_once_does_not_go_round(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(stack, stack.dead_uploads, ["poison"])
    plain = redriving._delete

    def dies_again(sqs: Any, queue: str, messages: list[dict[str, Any]]) -> None:
        plain(sqs, queue, messages)
        bury(stack, stack.dead_uploads, ["poison"])

    monkeypatch.setattr(redriving, "_delete", dies_again)
    done = stack("redrive", "--json")
    assert done.status == 3
    assert (done.events[0]["uploads"], done.events[0]["left"]) == (1, 1)


def test_a_death_between_sending_and_deleting_loses_nothing(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(stack, stack.dead_uploads, ["one", "two"])

    def dies(sqs: Any, queue: str, messages: list[dict[str, Any]]) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as broken:
        broken.setattr(redriving, "_delete", dies)
        stack("redrive")
    sent = set(bodies(stack, stack.cloud.uploads))
    assert sent, "they are back in the queue, and still among the dead"
    assert redriving_left(stack) == 2


def redriving_left(stack: Deployed) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stack.cloud.sqs.get_queue_attributes(QueueUrl=stack.dead_uploads, AttributeNames=names)
    return sum(map(int, found["Attributes"].values()))


def test_messages_too_large_for_one_call_go_in_several() -> None:
    letters = [{"Body": "x" * 600_000}, {"Body": "y" * 600_000}, {"Body": "z"}]
    assert [len(part) for part in redriving._within_a_call(letters)] == [1, 2]
