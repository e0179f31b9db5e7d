"""A job in numbers: derived from its documents and batches, each time anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.report import plain
from shared.domain.totals import Totals

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts are of documents as they stand now; totals are of every batch collected so far."""

    job: JobName
    documents: Mapping[DocumentStatus, int]
    totals: Totals
    groups: Mapping[str, Totals]
    batches: tuple[Batch, ...] = field(repr=False)
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def total(self) -> int:
        """Every document the job knows."""
        return sum(self.documents.values())

    @property
    def open(self) -> int:
        """Documents without a report or a failure yet."""
        return self.documents[DocumentStatus.WAITING] + self.documents[DocumentStatus.IN_BATCH]

    @property
    def elapsed(self) -> timedelta | None:
        """From the first batch's planning to the last collected result, or to now."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


def summarize(
    *,
    job: JobName,
    documents: Mapping[DocumentStatus, int],
    batches: Iterable[Batch],
    now: datetime,
) -> Summary:
    """Add up a job."""
    listed = tuple(batches)
    totals = Totals()
    groups: dict[str, Totals] = {}
    for batch in listed:
        found = batch.totals or Totals()
        totals += found
        groups[batch.group] = groups.get(batch.group, Totals()) + found
    live = any(batch.status in LIVE for batch in listed)
    ends = [batch.collected_at for batch in listed if batch.collected_at is not None]
    return Summary(
        job=job,
        documents=documents,
        totals=totals,
        groups=dict(sorted(groups.items())),
        batches=listed,
        started_at=min((batch.planned_at for batch in listed), default=None),
        finished_at=now if live else max(ends, default=None),
    )


def render_summary(summary: Summary) -> bytes:
    """`summary.json`. Amounts are US dollars as exact decimal numbers; times are UTC."""
    elapsed = summary.elapsed
    content = {
        "job": summary.job,
        "documents": {
            "total": summary.total,
            **{status.value: summary.documents[status] for status in DocumentStatus},
        },
        **_totals(summary.totals),
        "started_at": summary.started_at,
        "finished_at": summary.finished_at,
        "elapsed_s": None if elapsed is None else round(elapsed.total_seconds(), 3),
        "groups": {name: _totals(totals) for name, totals in summary.groups.items()},
        "batches": [_batch(batch) for batch in summary.batches],
    }
    return msgspec.json.format(_ENCODE(content), indent=2) + b"\n"


def _totals(totals: Totals) -> dict[str, object]:
    usage = totals.usage
    return {
        "outcomes": {
            "reported": totals.reported,
            "truncated": totals.truncated,
            "failed": totals.failed,
            "retried": totals.retried,
            "unpriced": totals.unpriced,
        },
        "tokens": {
            "input": usage.input_tokens,
            "cache_write_5m": usage.cache_creation_5m,
            "cache_write_1h": usage.cache_creation_1h,
            "cache_read": usage.cache_read,
            "output": usage.output_tokens,
        },
        "cost_usd": _amount(totals, totals.cost),
        "cost_without_batches_usd": _amount(totals, totals.cost_without_batches),
        "saved_usd": _amount(totals, totals.saved),
    }


def _amount(totals: Totals, amount: Decimal) -> Decimal | str:
    """Without a single known price an amount is unknown; else it leaves out what is `unpriced`."""
    return "unknown" if totals.unpriced and not totals.cost else plain(amount)


def _batch(batch: Batch) -> dict[str, object]:
    return {
        "id": batch.id,
        "provider_id": batch.provider_id,
        "group": batch.group,
        "status": batch.status,
        "requests": batch.requests,
        "bytes": batch.body_size,
        "model": batch.model,
        "submitted_at": batch.intent_at,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
        "collected_at": batch.collected_at,
        "note": batch.note,
        **(_totals(batch.totals) if batch.status is BatchStatus.COLLECTED and batch.totals else {}),
    }
