"""Events as JSON, a line each: ASCII only, times in UTC, amounts as exact decimal numbers."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from handlers.cli.in_flight import in_flight
from shared.domain.report import plain
from shared.domain.summary import SHOWN, Summary

_ENCODE = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode
_NOT_ASCII = re.compile("[^\x00-\x7f]")


def json_line(content: Mapping[str, object]) -> str:
    """One object on one line. Half characters, which are no JSON, are shown by their numbers."""
    whole = {name: _whole(value) for name, value in content.items()}
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], _ENCODE(whole).decode())


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def exact(content: bytes) -> dict[str, Any]:
    """A JSON object with its amounts as they are written."""
    found: dict[str, Any] = _DECODE(content)
    return found


def amounts(facts: Mapping[str, object]) -> dict[str, object]:
    """The facts with amounts as numbers; the engine tells them as text, as logs must."""
    return {
        name: _amount(value) if name.endswith("_usd") else value for name, value in facts.items()
    }


def _amount(value: object) -> Decimal | None:
    try:
        return None if value is None else plain(Decimal(str(value)))
    except InvalidOperation:
        return None


def numbers(summary: Summary) -> dict[str, object]:
    """Where the job stands. The cost is null where no price is known, as it isn't nothing."""
    totals, flight = summary.totals, in_flight(summary)
    return {
        **{status.value: summary.documents[status] for status in SHOWN},
        "total": summary.total,
        "batches_in_progress": flight.batches,
        "requests_processing": flight.processing,
        "requests_in_progress": flight.total,
        "cost_usd": None if totals.unpriced and not totals.cost else plain(totals.cost),
        "unpriced": totals.unpriced,
    }
