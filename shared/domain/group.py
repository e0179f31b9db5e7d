"""A group collects documents until it is ripe: full, old enough, or declared ready."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.ids import JobName
from shared.domain.policy import MAX_BATCH_BYTES, MAX_BATCH_REQUESTS
from shared.domain.record import Record


class Group(Record, frozen=True, kw_only=True):
    """A group with documents that wait, or may wait.

    `since` is when its oldest began to wait, `touched` when the last came, `drained` whether
    everything was submitted since it was declared ready, `next_at` until when it is left alone,
    because what the job may cost is taken. `rev` is the store's: the revision
    read, 0 when never stored.
    """

    job: JobName
    name: str
    since: datetime
    touched: datetime
    ready: bool = False
    drained: bool = False
    next_at: datetime | None = None
    rev: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much waits in a group: documents, and bytes of their content."""

    documents: int
    bytes: int

    def fills_a_batch(
        self, *, requests: int = MAX_BATCH_REQUESTS, size: int = MAX_BATCH_BYTES
    ) -> bool:
        """Whether waiting longer would not make the next batch larger."""
        return self.documents >= requests or self.bytes >= size


def rested(group: Group, *, now: datetime, lag: timedelta) -> Group:
    """A group in which nothing was found but that can't close yet, as it goes on.

    What comes next waits anew. Only for `lag` longer is it still ready, for what was uploaded
    before the marker and hadn't come up yet.
    """
    if group.ready and not group.drained:
        return replace(group, drained=True, since=now)
    if group.ready and now - group.since < lag:
        return group
    return replace(group, ready=False, drained=False, since=now)


def is_due(group: Group, *, max_wait: timedelta, now: datetime) -> bool:
    """Whether the group is ripe by word or by age; whether it is full takes a look at its load."""
    return group.ready or now - group.since >= max_wait
