"""One batch over time: everything about it follows from how it was created and from `now`."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.simulator.messages import timestamp
from shared.adapters.simulator.rows import Ending, Row

LIFETIME = timedelta(hours=24)
"""How long a batch may take. Source: message-batches-api.md, section 3."""

KEPT = timedelta(days=29)
"""How long results stay, counted from create. Source: message-batches-api.md, section 3."""

CANCELING = timedelta(milliseconds=200)
"""How long canceling takes here; rows that are reached within it still finish."""

_TYPES = ("succeeded", "errored", "canceled", "expired")


@dataclass(slots=True, kw_only=True)
class SimulatedBatch:
    """One batch. `counted` keeps the counts of an ended one, which nothing changes any more.

    `schemas` are those of structured answers, each once.
    """

    id: str
    number: int
    created_at: datetime
    duration: timedelta
    rows: list[Row]
    canceled_at: datetime | None = None
    counted: dict[str, int] | None = None
    schemas: list[dict[str, Any]] = field(default_factory=list)

    @property
    def expires_at(self) -> datetime:
        """When what isn't finished expires."""
        return self.created_at + LIFETIME

    @property
    def ends_at(self) -> datetime:
        """When the whole batch has ended."""
        ends = min(self.created_at + self.duration, self.expires_at)
        return ends if self.canceled_at is None else min(ends, self.canceled_at + CANCELING)

    def ending(self, row: Row) -> Ending:
        """How a row has ended once the batch has. What is wrong in itself errors all the same."""
        if self.created_at + self.duration * row.moment > self.ends_at and (
            row.ending is not Ending.ERRORED
        ):
            return Ending.EXPIRED if self.ends_at == self.expires_at else Ending.CANCELED
        return row.ending

    def status(self, now: datetime) -> str:
        """The provider's word for how far it is."""
        if now >= self.ends_at:
            return "ended"
        return "in_progress" if self.canceled_at is None else "canceling"

    def archived(self, now: datetime) -> bool:
        """Whether its results are gone."""
        return now >= self.created_at + KEPT

    def waiting(self, now: datetime) -> int:
        """How many requests are still in the queue."""
        if now >= self.ends_at:
            return 0
        return sum(self.created_at + self.duration * row.moment > now for row in self.rows)

    def counts(self, now: datetime, *, progressive: bool) -> dict[str, int]:
        """The provider's counts; they always add up to all requests."""
        ended = now >= self.ends_at
        if self.counted is not None:
            return dict(self.counted)
        counts = dict.fromkeys(("processing", *_TYPES), 0)
        if not ended and not progressive:
            return {**counts, "processing": len(self.rows)}
        if ended:
            counts |= Counter(_type(self.ending(row)) for row in self.rows)
            self.counted = dict(counts)
            return counts
        for row in self.rows:
            reached = self.created_at + self.duration * row.moment <= now
            counts[_type(self.ending(row)) if reached else "processing"] += 1
        return counts

    def place_of(self, schema: dict[str, Any] | None) -> int | None:
        """The schema's place, where it is kept from now on."""
        if schema is None:
            return None
        if schema not in self.schemas:
            self.schemas.append(schema)
        return self.schemas.index(schema)

    def describe(
        self, now: datetime, *, counts: dict[str, int], host: str, path: str
    ) -> dict[str, object]:
        """The batch as the API writes it."""
        ended = now >= self.ends_at
        archived = self.archived(now)
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status(now),
            "request_counts": counts,
            "created_at": timestamp(self.created_at),
            "expires_at": timestamp(self.expires_at),
            "ended_at": timestamp(self.ends_at) if ended else None,
            "cancel_initiated_at": timestamp(self.canceled_at),
            "archived_at": timestamp(self.created_at + KEPT) if archived else None,
            "results_url": f"http://{host}{path}/{self.id}/results"
            if ended and not archived
            else None,
        }

    def describe_new(self, *, host: str, path: str) -> dict[str, object]:
        """The batch in the answer to create, where it is never ended yet."""
        counts = {**dict.fromkeys(_TYPES, 0), "processing": len(self.rows)}
        described = self.describe(self.created_at, counts=counts, host=host, path=path)
        return {
            **described,
            "processing_status": "in_progress",
            "ended_at": None,
            "results_url": None,
        }

    def let_go(self, now: datetime) -> None:
        """Forget the rows, which nobody can ask for any more, but not how many there were."""
        self.counts(now, progressive=False)
        self.rows = []


def _type(ending: Ending) -> str:
    return ending.value if ending.value in _TYPES else "succeeded"
