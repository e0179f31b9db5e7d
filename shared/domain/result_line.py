"""One result line: what the API sends, and what can still be read of anything else.

Shapes: https://platform.claude.com/docs/en/api/retrieving-message-batch-results, read with what
is used only, and leniently: a field of another shape than documented must not lose a line.
"""

import json
import re
from typing import Any, Final

import msgspec

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class MalformedLine(Exception):
    """A result line that isn't what the API sends; the message says why."""


class CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class Tokens(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None


class Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class StopDetails(msgspec.Struct):
    category: str | None = None
    explanation: str | None = None


class Message(msgspec.Struct):
    model: str = ""
    content: list[Block] = []
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Tokens | None = None


class InnerError(msgspec.Struct):
    type: str = "unknown_error"
    message: str = ""


class OuterError(msgspec.Struct):
    error: InnerError | None = None


class Result(msgspec.Struct):
    type: str
    message: Message | None = None
    error: OuterError | None = None


class ResultLine(msgspec.Struct):
    """One line of a batch's results."""

    custom_id: str
    result: Result


_DECODER = msgspec.json.Decoder(ResultLine)


def decode(line: bytes) -> ResultLine:
    """Read one line; what is unusable in it counts as not given. Raises MalformedLine.

    A line that is JSON and names its request is never malformed: its document has an end.
    """
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_leniently(line)


def _read_leniently(line: bytes) -> ResultLine:
    try:
        found = json.loads(line.decode())
    except RecursionError as error:
        raise MalformedLine("it nests too deep to be read") from error
    except ValueError as error:
        raise MalformedLine(str(error)) from error
    custom_id = _field(found, "custom_id")
    if not isinstance(custom_id, str):
        raise MalformedLine("it has no custom_id")
    result = _field(found, "result")
    cause = _field(_field(result, "error"), "error")
    return ResultLine(
        custom_id=custom_id,
        result=Result(
            type=_text(_field(result, "type")) or "",
            message=_message(_field(result, "message")),
            error=OuterError(
                error=InnerError(
                    type=_text(_field(cause, "type")) or "unknown_error",
                    message=_text(_field(cause, "message")) or "",
                )
            ),
        ),
    )


def _message(found: Any) -> Message | None:
    if not isinstance(found, dict):
        return None
    content = found.get("content")
    blocks = content if isinstance(content, list) else []
    details = found.get("stop_details")
    usage = found.get("usage")
    created = _field(usage, "cache_creation")
    return Message(
        model=_text(found.get("model")) or "",
        content=[
            Block(type=_text(_field(block, "type")) or "", text=_text(_field(block, "text")))
            for block in blocks
        ],
        stop_reason=_text(found.get("stop_reason")),
        stop_details=StopDetails(
            category=_text(_field(details, "category")),
            explanation=_text(_field(details, "explanation")),
        ),
        usage=Tokens(
            **{
                name: _whole(_field(usage, name))
                for name in Tokens.__struct_fields__
                if name != "cache_creation"
            },
            cache_creation=CacheCreation(
                **{name: _whole(_field(created, name)) for name in CacheCreation.__struct_fields__}
            ),
        ),
    )


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    """The text with half characters, which can't be written anywhere, replaced."""
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
