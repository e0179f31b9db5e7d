"""The bytes of what comes out: reports, `failures.jsonl`. The same values give the same bytes."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

import msgspec

from shared.domain.answer_form import Output
from shared.domain.batch import Batch
from shared.domain.document import Failure
from shared.domain.ids import CorrelationId, CustomId
from shared.domain.outcome import Report
from shared.domain.report_html import HTML_BEGINS, render_page

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

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_HEADER_ENDS: Final = b"\n---\n\n"
"""Values in the header have no line ends, so it stands there first where the header ends."""

_HEADER_BEGINS: Final = b"---\ndocument: "
_JSON_BEGINS: Final = b'{\n  "docmill": {\n    "document": '
REPORT_BEGINS: Final[Mapping[str, bytes]] = {
    Output.MARKDOWN.suffix: _HEADER_BEGINS,
    Output.TEXT.suffix: _HEADER_BEGINS,
    Output.JSON.suffix: _JSON_BEGINS,
    Output.HTML.suffix: HTML_BEGINS,
}
"""By which a report of docmill's is told from a file of somebody else's, for each suffix."""

_NOT_FOR_YAML: Final = re.compile(
    "[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
"""What JSON takes as it is and YAML refuses or reads as a line end, and what turns the writing
direction of a line."""


def render_report(
    report: Report,
    *,
    output: Output = Output.MARKDOWN,
    document: str,
    custom_id: CustomId,
    batch: Batch,
    correlation_id: CorrelationId,
    cost: Decimal | None,
    more: Mapping[str, object] = _NOTHING,
    losses: Sequence[str] = (),
) -> bytes:
    """A report as a file of its output's kind: what docmill knows of it, and what the model said.
    `more` are further facts.

    The header of Markdown and of text is YAML. Its values are written as JSON, which is YAML too
    but for some characters, which are escaped: no name and no word of the provider's can end it.
    `more` is what few reports say besides, and so are `losses`, what the model didn't get to see of
    the document.
    """
    usage = report.usage
    facts = {
        "document": document,
        "model": report.model,
        "custom_id": custom_id,
        "batch": batch.provider_id,
        "correlation_id": correlation_id,
        "input_tokens": usage.input_tokens,
        "cache_write_tokens": usage.cache_creation_5m + usage.cache_creation_1h,
        "cache_read_tokens": usage.cache_read,
        "output_tokens": usage.output_tokens,
        "cost_usd": None if cost is None else plain(cost),
        "stop_reason": report.stop_reason,
        "truncated": report.truncated,
    }
    rest = {**more, "losses": losses} if losses else more
    match output:
        case Output.JSON:
            made = _ENCODE({"docmill": {**facts, **rest}, "answer": report.fields or {}})
            return msgspec.json.format(made, indent=2) + b"\n"
        case Output.HTML:
            return render_page({**facts, **rest}, report.fields or {}, report.text)
        case _:
            return _header(facts, report.fields or {}, rest) + _body(report.text)


def _body(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return data if data.endswith(b"\n") else data + b"\n"


def text_digest(text: str | bytes) -> str:
    """By which a report is known to hold what docmill wrote: of its text, as the file has it."""
    data = text if isinstance(text, bytes) else _body(text)
    return blake2b(data, digest_size=8).hexdigest()


def _header(
    facts: Mapping[str, object], fields: Mapping[str, Any], rest: Mapping[str, object]
) -> bytes:
    known = {**facts, "cost_usd": "unknown" if facts["cost_usd"] is None else facts["cost_usd"]}
    lines = [b"  %b: %b\n" % (name.encode(), _yaml(value)) for name, value in fields.items()]
    values = [value if type(value) is int else _yaml(value) for value in known.values()]
    more = b"".join(b"%b: %b\n" % (name.encode(), _yaml(value)) for name, value in rest.items())
    return _HEADER % (*values, more + b"".join([b"fields:\n", *lines] if lines else []))


def report_text(data: bytes) -> str:
    """The text below the header of what `render_report` made."""
    return header_and_text(data)[1].decode()


def header_and_text(data: bytes) -> tuple[bytes, bytes]:
    """The two parts of a report with a YAML header; all is header where none ends."""
    header, _, text = data.partition(_HEADER_ENDS)
    return header, text


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
