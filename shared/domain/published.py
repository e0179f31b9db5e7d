"""`summary.json` read back: what was published of a job, as far as a table of it needs."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from shared.domain.catalog import Usage
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.summary import OPEN, SHOWN, Part, Summary
from shared.domain.totals import Totals

_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode


class NotASummary(ValueError):
    """It isn't what docmill publishes."""


def read_summary(content: bytes) -> Summary:
    """The summary that `render_summary` made, without its batches. Raises NotASummary."""
    try:
        said = _DECODE(content)
        return Summary(
            job=JobName(said["job"]),
            documents=_documents(said),
            totals=_totals(said),
            groups={
                name: Part(documents=_documents(part), totals=_totals(part))
                for name, part in said["groups"].items()
            },
            batches=(),
            started_at=_moment(said["started_at"]),
            finished_at=_moment(said["finished_at"]),
            elapsed=timedelta(seconds=float(said["elapsed_s"])),
        )
    except (msgspec.DecodeError, ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise NotASummary(f"not a summary of docmill's ({type(error).__name__})") from error


def finished_groups(content: bytes) -> dict[str, Any]:
    """Groups without a document that is open, with what the summary says of them."""
    try:
        groups = msgspec.json.decode(content)["groups"]
        return {
            name: group
            for name, group in groups.items()
            if group["documents"]["total"]
            and not any(group["documents"][status] for status in OPEN)
        }
    except (msgspec.DecodeError, KeyError, TypeError):
        return {}  # somebody else's object under our name


def _documents(part: Mapping[str, Any]) -> Counter[DocumentStatus]:
    counts = part["documents"]
    return Counter({status: counts[status] for status in SHOWN if counts[status]})


def _totals(part: Mapping[str, Any]) -> Totals:
    tokens = part["tokens"]
    return Totals(
        **part["outcomes"],
        usage=Usage(
            input_tokens=tokens["input"],
            cache_creation_5m=tokens["cache_write_5m"],
            cache_creation_1h=tokens["cache_write_1h"],
            cache_read=tokens["cache_read"],
            output_tokens=tokens["output"],
        ),
        cost=_amount(part["cost_usd"]),
        cost_without_batches=_amount(part["cost_without_batches_usd"]),
        saved_by_caching=_amount(part.get("saved_by_caching_usd", 0)),
    )


def _amount(said: object) -> Decimal:
    """Where no price is known, nothing is known to be spent; `unpriced` says so."""
    return Decimal(0) if said == "unknown" else Decimal(str(said))


def _moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
