"""A job in numbers: derived from its documents and batches, each time anew."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.confusion import Agreement
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.report import plain
from shared.domain.spend import known_totals
from shared.domain.totals import Totals

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode

OPEN = (DocumentStatus.WAITING, DocumentStatus.IN_BATCH)
"""Documents without a report or a failure yet."""

SHOWN = tuple(status for status in DocumentStatus if status is not DocumentStatus.IN_PARTS)
"""What documents are told as: one in parts is on its way in batches, and counted among those."""

Counted = Mapping[str, Mapping[DocumentStatus, int]]
"""How many documents of each group are in each status; what is not named is zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A group, or the whole job: documents as they stand now, totals of what was collected so far.

    The two count different things: a document that was tried twice counts once here, twice there.
    """

    documents: Counter[DocumentStatus]
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A job as it stands. `elapsed` is the time in which at least one batch was under way.

    `finished_at` is when its last batch was collected, None as long as anything is open.
    `agreement` is there where the recipe knows the truth, and the job was published.
    """

    job: JobName
    documents: Counter[DocumentStatus]
    totals: Totals
    groups: Mapping[str, Part]
    batches: tuple[Batch, ...] = field(repr=False)
    started_at: datetime | None
    finished_at: datetime | None
    elapsed: timedelta
    agreement: Agreement | None = None

    def beside(self, agreement: Agreement | None) -> "Summary":
        """With what its answers come to beside the truth."""
        return replace(self, agreement=agreement)

    @property
    def total(self) -> int:
        """Every document the job knows."""
        return self.documents.total()

    def made_otherwise(self, fingerprint: str) -> int:
        """How many reports came of another recipe or model than the one of this fingerprint."""
        return sum(
            batch.totals.reported
            for batch in self.batches
            if batch.totals is not None and batch.fingerprint != fingerprint
        )

    @property
    def open(self) -> int:
        """Documents without a report or a failure yet."""
        return sum(self.documents[status] for status in OPEN)


def summarize(
    *,
    job: JobName,
    documents: Counted,
    batches: Iterable[Batch],
    now: datetime,
) -> Summary:
    """Add up a job."""
    listed = tuple(batches)
    groups = {group: Part(documents=_shown(n), totals=Totals()) for group, n in documents.items()}
    spans: list[tuple[datetime, datetime]] = []
    for batch in listed:
        part = groups.get(batch.group) or Part(documents=Counter(), totals=Totals())
        found = part.totals + known_totals(batch)
        groups[batch.group] = Part(documents=part.documents, totals=found)
        end = now if batch.status in LIVE else batch.collected_at
        if end is not None:
            spans.append((batch.planned_at, end))
    standing: Counter[DocumentStatus] = sum((part.documents for part in groups.values()), Counter())
    is_open = any(standing[status] for status in OPEN) or any(b.status in LIVE for b in listed)
    return Summary(
        job=job,
        documents=standing,
        totals=sum((part.totals for part in groups.values()), Totals()),
        groups=dict(sorted(groups.items())),
        batches=listed,
        started_at=min((batch.planned_at for batch in listed), default=None),
        finished_at=None if is_open else max((end for _, end in spans), default=None),
        elapsed=_covered(spans),
    )


def _shown(counts: Mapping[DocumentStatus, int]) -> Counter[DocumentStatus]:
    shown = Counter(counts)
    if in_parts := shown.pop(DocumentStatus.IN_PARTS, 0):
        shown[DocumentStatus.IN_BATCH] += in_parts
    return shown


def _covered(spans: list[tuple[datetime, datetime]]) -> timedelta:
    """How much time lies in at least one of the spans: days between two runs don't count."""
    covered = timedelta(0)
    reached: datetime | None = None
    for start, end in sorted(spans):
        begin = start if reached is None else max(start, reached)
        covered += max(end - begin, timedelta(0))
        reached = end if reached is None else max(end, reached)
    return covered


def render_summary(summary: Summary) -> bytes:
    """`summary.json`. Amounts are US dollars as exact decimal numbers; times are UTC."""
    content = {
        "job": summary.job,
        "documents": _documents(summary.documents),
        **_totals(summary.totals),
        "started_at": summary.started_at,
        "finished_at": summary.finished_at,
        "elapsed_s": round(summary.elapsed.total_seconds(), 3),
        **_agreement(summary.agreement),
        "groups": {
            name: {"documents": _documents(part.documents), **_totals(part.totals)}
            for name, part in summary.groups.items()
        },
        "batches": [_batch(batch) for batch in summary.batches],
    }
    return msgspec.json.format(_ENCODE(content), indent=2) + b"\n"


def _agreement(agreement: Agreement | None) -> dict[str, object]:
    if agreement is None:
        return {}
    return {"truth": {**msgspec.structs.asdict(agreement), "accuracy": agreement.accuracy}}


def _documents(counts: Counter[DocumentStatus]) -> dict[str, int]:
    return {
        "total": counts.total(),
        **{status.value: counts[status] for status in SHOWN},
    }


def _totals(totals: Totals) -> dict[str, object]:
    usage = totals.usage
    return {
        "outcomes": {
            "reported": totals.reported,
            "truncated": totals.truncated,
            "failed": totals.failed,
            "retried": totals.retried,
            "continued": totals.continued,
            "twins": totals.twins,
            "parts": totals.parts,
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
        "saved_by_caching_usd": _amount(totals, totals.saved_by_caching),
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
