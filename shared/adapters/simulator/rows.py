"""How each request of a batch ends, and its result line. Decided by hashing, so by the seed."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.adapters.builtin import catalog
from shared.adapters.simulator.cache import Cache
from shared.adapters.simulator.faults import Faults
from shared.adapters.simulator.prompt import BYTES_PER_TOKEN, read_prompt
from shared.adapters.simulator.structured import answer_text

LOW_CREDIT = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
    "upgrade or purchase credits."
)
PLACEHOLDER = "> Placeholder by docmill's simulator. No model has read this document."
_CACHE_HITS = 0.8
"""Caching in batches is best effort: of prompts whose beginning was written before, this share
reads it, and the rest writes it anew (assumption)."""

_UNKNOWN_LEAST = 1_024
"""For models whose least cacheable prompt isn't known (assumption)."""

_EXECUTION_ERRORS = ("api_error", "overloaded_error", "timeout_error", "rate_limit_error")


class Ending(StrEnum):
    """What becomes of a row that is reached."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    PAUSE_TURN = "pause_turn"
    OVERFLOW = "model_context_window_exceeded"
    ERRORED = "errored"
    EXPIRED = "expired"
    CANCELED = "canceled"


@dataclass(slots=True, kw_only=True)
class Row:
    """One request, as far as it is remembered.

    `ending` is decided when the batch is created, `moment` is the share of the batch's duration
    after which it is reached. `input_tokens` leaves out what is written to or read from the cache.
    `said` is how many characters of the answer an earlier request got already. Where the answer is
    to be structured, `schema` is its schema's place in the batch, and `prompt` a digest of what was
    asked.
    """

    custom_id: str
    model: str
    ending: Ending
    moment: float
    input_tokens: int
    max_tokens: int
    headings: tuple[str, ...] = ()
    error: tuple[str, str] | None = None
    cache_write: int = 0
    cache_read: int = 0
    cache_hour: bool = False
    refusal_category: str | None = None
    said: int = 0
    schema: int | None = None
    prompt: str = ""
    invalid: bool = False


def share(seed: int, *parts: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the parts."""
    text = "\x00".join((str(seed), *parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / (1 << 56)


def plan_row(  # noqa: PLR0917 - in the order they are decided in
    seed: int,
    batch: str,
    custom_id: str,
    params: dict[str, Any],
    fault: tuple[str, str] | None,
    faults: Faults,
    warm: Cache,
    schema: int | None = None,
) -> Row:
    """Decide how a row will end. `warm` is what is in the cache by then."""
    prompt = read_prompt(params)
    cached = prompt.cached if prompt.cached >= _least_cached(params) else 0
    ending, error = Ending.END_TURN, None
    if faults.containing in custom_id:
        ending, error = _ending(share(seed, batch, custom_id, "ending"), faults)
    if fault is not None:
        ending, error = Ending.ERRORED, fault
    elif faults.out_of_credit:
        ending, error = Ending.ERRORED, ("invalid_request_error", LOW_CREDIT)
    most = params.get("max_tokens")
    hit = False
    if cached and fault is None:
        known = warm.holds(prompt.prefix)
        hit = known and share(seed, batch, custom_id, "cache") < _CACHE_HITS
        warm.write(prompt.prefix, hour=prompt.hour)
    return Row(
        custom_id=custom_id,
        model=str(params.get("model")),
        ending=ending,
        moment=share(seed, batch, custom_id, "moment"),
        input_tokens=max(prompt.tokens - cached, 0),
        max_tokens=most if isinstance(most, int) else 0,
        headings=prompt.headings,
        error=error,
        cache_write=0 if hit else cached,
        cache_read=cached if hit else 0,
        cache_hour=prompt.hour,
        refusal_category=faults.refusal_category if ending is Ending.REFUSAL else None,
        said=prompt.said,
        schema=schema,
        prompt="" if schema is None else prompt.digest,
        invalid=schema is not None
        and ending is not Ending.MAX_TOKENS
        and faults.containing in custom_id
        and share(seed, batch, custom_id, "invalid") < faults.invalid_rate,
    )


def _least_cached(params: dict[str, Any]) -> int:
    model = catalog().find(str(params.get("model")))
    least = model.min_cacheable_tokens if model is not None else None
    return least or _UNKNOWN_LEAST


def _ending(draw: float, faults: Faults) -> tuple[Ending, tuple[str, str] | None]:
    for rate, ending in (
        (faults.error_rate, Ending.ERRORED),
        (faults.expire_rate, Ending.EXPIRED),
        (faults.refuse_rate, Ending.REFUSAL),
        (faults.truncate_rate, Ending.MAX_TOKENS),
        (faults.pause_rate, Ending.PAUSE_TURN),
        (faults.overflow_rate, Ending.OVERFLOW),
    ):
        if draw < rate:
            errored = (faults.error_type, faults.error_message)
            return ending, errored if ending is Ending.ERRORED else None
        draw -= rate
    return Ending.END_TURN, None


def result_line(
    row: Row,
    ending: Ending,
    *,
    seed: int,
    output_bytes: int,
    schemas: Sequence[dict[str, Any]] = (),
) -> bytes:
    """The row's line of the results, with its line end."""
    match ending:
        case Ending.CANCELED | Ending.EXPIRED:
            result: dict[str, Any] = {"type": ending.value}
        case Ending.ERRORED:
            type_, message = row.error or ("api_error", "simulated")
            inner = {"type": type_, "message": message, "details": None}
            worker = f"workerreq_{_identity(row, seed)}" if type_ in _EXECUTION_ERRORS else None
            result = {
                "type": "errored",
                "error": {"type": "error", "error": inner, "request_id": worker},
            }
        case _:
            result = {
                "type": "succeeded",
                "message": _message(row, ending, seed, output_bytes, schemas),
            }
    line = json.dumps({"custom_id": row.custom_id, "result": result}, ensure_ascii=False)
    return line.encode() + b"\n"


def _message(
    row: Row, ending: Ending, seed: int, output_bytes: int, schemas: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    refused = ending is Ending.REFUSAL
    text = "" if refused else _text(row, output_bytes)
    if row.schema is not None and not refused:
        schema = schemas[row.schema]
        text = answer_text(schema, prompt=row.prompt, report=text, invalid=row.invalid)[row.said :]
        if ending is Ending.OVERFLOW:
            text = text[: len(text) // 2]
    elif not refused:
        text = text[row.said :] or "\n(The end.)\n"
    tokens = min(len(text) // BYTES_PER_TOKEN, row.max_tokens)
    if ending is Ending.MAX_TOKENS:
        # Whatever was said by then: there is always more to say.
        most = min(row.max_tokens * BYTES_PER_TOKEN, -(-len(text) // 2))
        text, tokens = text[:most], row.max_tokens
    return {
        "id": f"msg_{_identity(row, seed)}",
        "type": "message",
        "role": "assistant",
        "model": row.model,
        "content": [] if refused else [{"type": "text", "text": text}],
        "stop_reason": ending.value,
        "stop_sequence": None,
        "stop_details": {
            "type": "refusal",
            "category": row.refusal_category,
            "explanation": None,
        }
        if refused
        else None,
        "usage": {
            "input_tokens": row.input_tokens,
            "cache_creation_input_tokens": row.cache_write,
            "cache_read_input_tokens": row.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if row.cache_hour else row.cache_write,
                "ephemeral_1h_input_tokens": row.cache_write if row.cache_hour else 0,
            },
            "output_tokens": tokens,
            "service_tier": "batch",
            "inference_geo": "not_available",
        },
    }


def _identity(row: Row, seed: int) -> str:
    return hashlib.blake2b(f"{seed}{row.custom_id}".encode(), digest_size=12).hexdigest()


def _text(row: Row, output_bytes: int) -> str:
    parts = [PLACEHOLDER]
    parts += [f"{heading}\n\nA model's answer would stand here." for heading in row.headings]
    text = "\n\n".join(parts) + "\n"
    if len(text) < output_bytes:
        filler = "This line stands for a longer answer.\n"
        text += filler * ((output_bytes - len(text)) // len(filler) + 1)
        text = text[:output_bytes]
    return text


def shuffled(rows: list[Row], *, seed: int, batch: str) -> Iterator[Row]:
    """The rows in an order of the seed's own."""
    order = sorted(range(len(rows)), key=lambda place: share(seed, batch, str(place), "order"))
    return (rows[place] for place in order)
