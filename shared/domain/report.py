"""The bytes of what comes out: reports, `failures.jsonl`. The same values give the same bytes."""

import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Final

import msgspec

from shared.domain.batch import Batch
from shared.domain.document import Failure
from shared.domain.ids import CorrelationId, CustomId
from shared.domain.outcome import Report

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode
_HEADER = b"""---
document: %b
model: %b
custom_id: %b
batch: %b
correlation_id: %b
input_tokens: %d
cache_write_tokens: %d
cache_read_tokens: %d
output_tokens: %d
cost_usd: %b
stop_reason: %b
truncated: %b
%b---

"""

_NOTHING: Final[Mapping[str, object]] = {}

REPORT_BEGINS: Final = b"---\ndocument: "
"""By which a report of docmill's is told from a file of somebody else's."""

_NOT_FOR_YAML: Final = re.compile(
    "[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
"""What JSON takes as it is and YAML refuses or reads as a line end, and what turns the writing
direction of a line."""


def render_report(
    report: Report,
    *,
    document: str,
    custom_id: CustomId,
    batch: Batch,
    correlation_id: CorrelationId,
    cost: Decimal | None,
    more: Mapping[str, object] = _NOTHING,
) -> bytes:
    """A report as a file: YAML front matter, then the model's text as it came.

    Values are written as JSON, which is YAML too but for some characters, which are escaped: no
    name and no word of the provider's can end the header. `more` are lines that few reports have.
    """
    usage = report.usage
    header = _HEADER % (
        _yaml(document),
        _yaml(report.model),
        _yaml(custom_id),
        _yaml(batch.provider_id),
        _yaml(correlation_id),
        usage.input_tokens,
        usage.cache_creation_5m + usage.cache_creation_1h,
        usage.cache_read,
        usage.output_tokens,
        _yaml("unknown" if cost is None else plain(cost)),
        _yaml(report.stop_reason),
        _yaml(report.truncated),
        b"".join(b"%b: %b\n" % (key.encode(), _yaml(value)) for key, value in more.items()),
    )
    return header + _body(report.text)


def _body(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return data if data.endswith(b"\n") else data + b"\n"


def text_digest(text: str | bytes) -> str:
    """By which a report is known to hold what docmill wrote: of its text, as the file has it."""
    data = text if isinstance(text, bytes) else _body(text)
    return blake2b(data, digest_size=8).hexdigest()


def _yaml(value: object) -> bytes:
    data = _ENCODE(value)
    if data.isascii() and b"\x7f" not in data:
        return data
    text = data.decode()
    return _NOT_FOR_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def plain(amount: Decimal) -> Decimal:
    """The same amount without an exponent or trailing zeros, as people and parsers read it."""
    normal = amount.normalize()
    return normal.quantize(Decimal(1)) if normal == normal.to_integral() else Decimal(f"{normal:f}")


def render_failure(path: str, failure: Failure, correlation_id: CorrelationId | None) -> bytes:
    """One line of `failures.jsonl`, without its line end. A missing recipe has no id."""
    return _ENCODE(
        {
            "path": path,
            "custom_id": failure.custom_id,
            "type": failure.type,
            "message": failure.message,
            "attempts": failure.attempts,
            "retryable": failure.retryable,
            "correlation_id": correlation_id,
        }
    )
