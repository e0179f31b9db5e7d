"""Rows of the results tables: what docmill knows of a report, and the fields of its answer."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self

from msgspec.structs import replace

from shared.domain.batch import Batch
from shared.domain.catalog import Usage, added
from shared.domain.ids import BatchId
from shared.domain.outcome import Report
from shared.domain.parts import Answer
from shared.domain.record import Record

OWN_COLUMNS: Final = (
    *("document", "group", "model", "cost_usd"),
    *("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens", "truncated"),
)
"""What stands before the fields in a table."""


class Row(Record, frozen=True, kw_only=True):
    """One report, as a table has it. `batch` is the one it came in, planned at `planned_at`; `cost`
    is in US dollars, None where no price is known."""

    document: str
    batch: BatchId
    planned_at: datetime
    group: str
    model: str
    cost: Decimal | None = None
    usage: Usage
    truncated: bool = False
    fields: dict[str, Any]

    @classmethod
    def of(cls, report: Report, *, document: str, batch: Batch, cost: Decimal | None) -> Self:
        """The row of a report whose answer has fields."""
        return cls(
            document=document,
            batch=batch.id,
            planned_at=batch.planned_at,
            group=batch.group,
            model=report.model,
            cost=cost,
            usage=report.usage,
            truncated=report.truncated,
            fields=report.fields or {},
        )

    def merged(self, answers: Answer | None) -> Self:
        """The row with what the answers used besides, if it is of a report merged from some."""
        if answers is None:
            return self
        return replace(
            self,
            cost=added(self.cost, answers.cost),
            usage=self.usage + answers.usage,
            truncated=self.truncated or answers.truncated,
        )

    def own(self) -> tuple[str | int | bool | Decimal | None, ...]:
        """The values of OWN_COLUMNS."""
        usage = self.usage
        return (
            self.document,
            self.group,
            self.model,
            self.cost,
            usage.input_tokens,
            usage.cache_creation_5m + usage.cache_creation_1h,
            usage.cache_read,
            usage.output_tokens,
            self.truncated,
        )
