"""The bytes of what comes out: reports, `failures.jsonl`. The same values give the same bytes."""

from decimal import Decimal

import msgspec

from shared.domain.batch import Batch
from shared.domain.document import Failure
from shared.domain.ids import CustomId
from shared.domain.outcome import Report

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode
_HEADER = b"""---
document: %b
model: %b
custom_id: %b
batch: %b
input_tokens: %d
cache_write_tokens: %d
cache_read_tokens: %d
output_tokens: %d
cost_usd: %b
stop_reason: %b
truncated: %b
---

"""


def render_report(
    report: Report, *, document: str, custom_id: CustomId, batch: Batch, cost: Decimal | None
) -> bytes:
    """A report as a file: YAML front matter, then the model's text as it came.

    Values are written as JSON, which is YAML too, so no name can end the header.
    """
    usage = report.usage
    header = _HEADER % (
        _ENCODE(document),
        _ENCODE(report.model),
        _ENCODE(custom_id),
        _ENCODE(batch.provider_id),
        usage.input_tokens,
        usage.cache_creation_5m + usage.cache_creation_1h,
        usage.cache_read,
        usage.output_tokens,
        _ENCODE("unknown" if cost is None else plain(cost)),
        _ENCODE(report.stop_reason),
        _ENCODE(report.truncated),
    )
    text = report.text.encode("utf-8", "replace")
    return header + text + (b"" if text.endswith(b"\n") else b"\n")


def plain(amount: Decimal) -> Decimal:
    """The same amount without an exponent or trailing zeros, as people and parsers read it."""
    normal = amount.normalize()
    return normal.quantize(Decimal(1)) if normal == normal.to_integral() else Decimal(f"{normal:f}")


def render_failure(path: str, failure: Failure) -> bytes:
    """One line of `failures.jsonl`, without its line end."""
    return _ENCODE(
        {
            "path": path,
            "custom_id": failure.custom_id,
            "type": failure.type,
            "message": failure.message,
            "attempts": failure.attempts,
            "retryable": failure.retryable,
        }
    )
