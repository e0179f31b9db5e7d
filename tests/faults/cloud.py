"""What tests of killed functions do with the AWS home."""

import time
from collections.abc import Callable

from msgspec.structs import replace

from handlers import poll, submit
from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.ids import JobName
from shared.wiring.aws import home
from shared.wiring.laptop import utc_now
from tests.handlers.aws_home import JOB, Cloud, Message

PATIENCE_S = 30.0


def documents(count: int, *, first: int = 0, groups: int = 1) -> dict[str, bytes]:
    """Small documents."""
    numbers = range(first, first + count)
    return {f"group {n % groups}/doc {n:03}.md": f"# Document {n}\n".encode() for n in numbers}


def take_in(aws: Cloud, count: int, *, first: int = 0, groups: int = 1) -> dict[str, bytes]:
    """Documents that wait, in groups that are closed."""
    found = documents(count, first=first, groups=groups)
    aws.upload({f"{JOB}/{path}": data for path, data in found.items()})
    aws.upload({f"{JOB}/_READY": b""})
    assert aws.take_uploads() == []
    return found


def ended(aws: Cloud, count: int, *, groups: int = 1) -> list[Message]:
    """The messages to collect the batches of as many documents, which have ended."""
    take_in(aws, count, groups=groups)
    submit.handler({}, aws.invocation)

    def have_ended() -> bool:
        poll.handler({}, aws.invocation)
        return len(batches(BatchStatus.ENDED)) == groups

    until(have_ended)
    return [message for messages in aws.taken(aws.collects) for message in messages]


def batches(*statuses: BatchStatus) -> list[Batch]:
    """The job's batches in these states."""
    return [batch for batch in home().store.batches(JobName(JOB)) if batch.status in statuses]


def pass_leases() -> None:
    """Let the time pass that whoever holds a batch has for it."""
    now = utc_now()
    for batch in batches(*LIVE):
        if batch.next_at > now:
            home().store.swap_batch(replace(batch, next_at=now))


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, or fail."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def check_whole(aws: Cloud, found: dict[str, bytes], *, seconds: float = PATIENCE_S) -> None:
    """Bring everything to its end: all reported, each paid for once, totals right."""
    summary = aws.settle(seconds=seconds)
    assert aws.reports() == {f"{path}.md" for path in found}
    assert aws.failures() == []
    assert summary["documents"]["reported"] == summary["documents"]["total"] == len(found)
    assert summary["outcomes"]["reported"] == len(found)
    assert len(aws.paid()) == len(found)
