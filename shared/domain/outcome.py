"""What one result line means for its document.

Shapes: https://platform.claude.com/docs/en/api/retrieving-message-batch-results, read with what
is used only, and leniently: a field of another shape than documented must not lose a line.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from shared.domain.catalog import Usage
from shared.domain.document import Failure
from shared.domain.ids import CustomId

LOW_CREDIT = "Your credit balance is too low"
"""How a batch without credit fails each row, as `invalid_request_error` (reported, uncertain)."""

OWN_SPEND_LIMIT = "You have reached your specified API usage limits"
"""How the limit that a customer sets for himself is worded (documented)."""


class MalformedLine(Exception):
    """A result line that isn't what the API sends; the message says why."""


class StopReason(StrEnum):
    """The provider's words that change what becomes of a message."""

    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    PAUSE_TURN = "pause_turn"
    TOOL_USE = "tool_use"
    CONTEXT_WINDOW = "model_context_window_exceeded"


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _StopDetails(msgspec.Struct):
    category: str | None = None
    explanation: str | None = None


class _Message(msgspec.Struct):
    model: str = ""
    content: list[_Block] = []
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None
    usage: _Usage | None = None


class _InnerError(msgspec.Struct):
    type: str = "unknown_error"
    message: str = ""


class _OuterError(msgspec.Struct):
    error: _InnerError | None = None


class _Result(msgspec.Struct):
    type: str
    message: _Message | None = None
    error: _OuterError | None = None


class ResultLine(msgspec.Struct):
    """One line of a batch's results."""

    custom_id: str
    result: _Result


_DECODER = msgspec.json.Decoder(ResultLine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The model answered: `text` becomes the report; `truncated` when it was cut short."""

    text: str
    model: str
    stop_reason: str
    truncated: bool
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """To be tried again in a new batch. `attempts` includes this one when it counts.

    `hold` is the message for the person whose credit or limit stands in the way.
    """

    attempts: int
    failure: Failure
    hold: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """It ends without a report; what was used is billed all the same when there is `usage`."""

    failure: Failure
    model: str = ""
    usage: Usage | None = None


Outcome = Report | Retry | Fail


class _FailureMaker(Protocol):
    def __call__(self, type_: str, message: str, *, retryable: bool) -> Failure: ...


def decode(line: bytes) -> ResultLine:
    """Read one line. Raises MalformedLine."""
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedLine(str(error)) from error


def judge(line: ResultLine, *, attempts: int, max_attempts: int) -> Outcome:
    """Decide what a line means for a document that was tried `attempts` times before."""
    result = line.result
    tried = attempts + 1
    custom_id = CustomId(line.custom_id)

    def failure(type_: str, message: str, *, retryable: bool) -> Failure:
        return Failure(
            type=type_, message=message, retryable=retryable, attempts=tried, custom_id=custom_id
        )

    match result.type:
        case "succeeded" if result.message is not None:
            return _read(result.message, failure)
        case "errored":
            return _errored(result, failure, attempts=attempts, max_attempts=max_attempts)
        case "expired":
            why = "the provider didn't get to it within 24 hours"
            return _again(failure("expired", why, retryable=True), max_attempts)
        case "canceled":
            return Fail(failure=failure("canceled", "its batch was canceled", retryable=True))
        case other:
            why = f"the result is of a type docmill doesn't know: {other[:60]!r}"
            return Fail(failure=failure("unknown_result", why, retryable=True))


def _again(failure: Failure, max_attempts: int) -> Outcome:
    if failure.attempts >= max_attempts:
        return Fail(failure=failure)
    return Retry(attempts=failure.attempts, failure=failure)


def _errored(
    result: _Result, failure: _FailureMaker, *, attempts: int, max_attempts: int
) -> Outcome:
    error = (result.error and result.error.error) or _InnerError()
    if error.type == "billing_error" or error.message.startswith((LOW_CREDIT, OWN_SPEND_LIMIT)):
        cause = failure(error.type, error.message, retryable=True)
        return Retry(attempts=attempts, failure=cause, hold=error.message)
    match error.type:
        case "api_error" | "overloaded_error" | "timeout_error" | "rate_limit_error":
            return _again(failure(error.type, error.message, retryable=True), max_attempts)
        case "invalid_request_error" | "not_found_error" | "request_too_large":
            return Fail(failure=failure(error.type, error.message, retryable=False))
        case _:
            return Fail(failure=failure(error.type, error.message, retryable=True))


def _read(message: _Message, failure: _FailureMaker) -> Outcome:
    usage = _usage_of(message.usage)
    stop_reason = message.stop_reason or "unknown"

    def fail(type_: str, why: str, *, retryable: bool) -> Fail:
        return Fail(
            failure=failure(type_, why, retryable=retryable), model=message.model, usage=usage
        )

    match stop_reason:
        case StopReason.REFUSAL:
            details = message.stop_details or _StopDetails()
            category = details.category or "no category given"
            why = f"the model refused ({category})"
            if details.explanation:
                why = f"{why}: {details.explanation}"
            return fail("refusal", why, retryable=False)
        case StopReason.PAUSE_TURN:
            why = "the model paused its turn to go on later, which docmill can't do yet"
            return fail("pause_turn", why, retryable=True)
        case StopReason.TOOL_USE:
            why = "the model called a tool instead of writing a report; leave tools out of params"
            return fail("tool_use", why, retryable=False)
    text = "".join(block.text for block in message.content if block.type == "text" and block.text)
    if not text.strip():
        why = f"the model answered without any text (stop reason {stop_reason})"
        return fail("empty_report", why, retryable=True)
    return Report(
        text=text,
        model=message.model,
        stop_reason=stop_reason,
        truncated=stop_reason in (StopReason.MAX_TOKENS, StopReason.CONTEXT_WINDOW),
        usage=usage,
    )


def _usage_of(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    detail = usage.cache_creation
    hour = (detail.ephemeral_1h_input_tokens if detail else 0) or 0
    written = usage.cache_creation_input_tokens or 0
    five = (detail.ephemeral_5m_input_tokens if detail else 0) or max(written - hour, 0)
    return Usage(
        input_tokens=usage.input_tokens or 0,
        output_tokens=usage.output_tokens or 0,
        cache_creation_5m=five,
        cache_creation_1h=hour,
        cache_read=usage.cache_read_input_tokens or 0,
    )
