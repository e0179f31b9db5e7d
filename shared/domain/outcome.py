"""What one result line means for its document."""

from enum import StrEnum
from typing import Any, Final, Protocol

from msgspec.structs import replace

from shared.domain.answer import Answers, InvalidAnswer
from shared.domain.catalog import Usage
from shared.domain.document import Failure
from shared.domain.ids import CustomId
from shared.domain.record import Record
from shared.domain.result_line import (
    CacheCreation,
    InnerError,
    MalformedLine,
    Message,
    Result,
    ResultLine,
    StopDetails,
    Tokens,
    decode,
)

__all__ = [
    "Fail",
    "MalformedLine",
    "Outcome",
    "Report",
    "ResultLine",
    "Retry",
    "StopReason",
    "decode",
    "formed",
    "judge",
]

LOW_CREDIT = "Your credit balance is too low"
"""How a batch without credit fails each row, as `invalid_request_error` (reported, uncertain)."""

OWN_SPEND_LIMIT = "You have reached your specified API usage limits"
"""How the limit that a customer sets for himself is worded (documented)."""

LONGEST_MESSAGE: Final = 2_000
LONGEST_TYPE: Final = 100
"""Characters of an error that are kept: a record of the state has room for 400 KB in all."""

MOST_TOKENS: Final = 10**12
"""More, or less than none, is no count of one request's tokens, and is taken as not given."""


class StopReason(StrEnum):
    """The provider's words that change what becomes of a message."""

    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    PAUSE_TURN = "pause_turn"
    TOOL_USE = "tool_use"
    CONTEXT_WINDOW = "model_context_window_exceeded"


INVALID_OUTPUT: Final = "invalid_output"
"""The answer isn't what the recipe's fields ask for, and is paid for all the same."""

OUTPUT_CUT: Final = "output_cut"
"""The answer stopped before its JSON was whole: what is there can't be read."""


class Report(Record, frozen=True, kw_only=True):
    """The model answered: `text` becomes the report; `truncated` when it was cut short, `uncounted`
    when it doesn't say what it used. `fields` are what the recipe's fields ask for; `text` is empty
    where they are all of the answer."""

    text: str
    model: str
    stop_reason: str
    truncated: bool
    usage: Usage
    uncounted: bool = False
    fields: dict[str, Any] | None = None


class Retry(Record, frozen=True, kw_only=True):
    """To be tried again in a new batch. `attempts` includes this one when it counts.

    `hold` is the message for the person whose credit or limit stands in the way. An answer that
    can't be used is billed all the same, as of a `Fail`.
    """

    attempts: int
    failure: Failure
    hold: str | None = None
    usage: Usage | None = None
    uncounted: bool = False


class Fail(Record, frozen=True, kw_only=True):
    """It ends without a report; what was used is billed all the same when there is `usage`, and may
    be when it is `uncounted`. `unwritten` is the report, where one came and can't lie in its place.
    """

    failure: Failure
    model: str = ""
    usage: Usage | None = None
    uncounted: bool = False
    unwritten: Report | None = None


Outcome = Report | Retry | Fail


class _FailureMaker(Protocol):
    def __call__(self, type_: str, message: str, *, retryable: bool) -> Failure: ...


def judge(
    line: ResultLine, *, attempts: int, max_attempts: int, answers: Answers | None = None
) -> Outcome:
    """Decide what a line means for a document that was tried `attempts` times before.

    `answers` reads answers that have a form; without them that is left to `formed`.
    """
    result = line.result
    tried = attempts + 1
    custom_id = CustomId(line.custom_id)

    def failure(type_: str, message: str, *, retryable: bool) -> Failure:
        return Failure(
            type=_clipped(type_, LONGEST_TYPE) or "unknown_error",
            message=_clipped(message, LONGEST_MESSAGE) or "no explanation",
            retryable=retryable,
            attempts=tried,
            custom_id=custom_id,
        )

    match result.type:
        case "succeeded" if result.message is not None:
            outcome = _read(result.message, failure)
            if answers is None or not isinstance(outcome, Report):
                return outcome
            return formed(
                outcome,
                answers,
                custom_id=custom_id,
                attempts=attempts,
                max_attempts=max_attempts,
            )
        case "errored":
            return _errored(result, failure, attempts=attempts, max_attempts=max_attempts)
        case "expired":
            why = "the provider didn't get to it within 24 hours"
            return _again(failure("expired", why, retryable=True), max_attempts)
        case "canceled":
            return Fail(failure=failure("canceled", "its batch was canceled", retryable=True))
        case "succeeded":
            why = "the request succeeded, but the result holds no message"
            return Fail(failure=failure("unknown_result", why, retryable=True), uncounted=True)
        case other:
            why = f"the result is of a type docmill doesn't know: {other[:60]!r}"
            return Fail(failure=failure("unknown_result", why, retryable=True), uncounted=True)


def _again(failure: Failure, max_attempts: int) -> Fail | Retry:
    if failure.attempts >= max_attempts:
        return Fail(failure=failure)
    return Retry(attempts=failure.attempts, failure=failure)


def _errored(
    result: Result, failure: _FailureMaker, *, attempts: int, max_attempts: int
) -> Outcome:
    error = (result.error and result.error.error) or InnerError()
    if error.type == "billing_error" or error.message.startswith((LOW_CREDIT, OWN_SPEND_LIMIT)):
        cause = failure(error.type, error.message, retryable=True)
        return Retry(attempts=attempts, failure=cause, hold=cause.message)
    match error.type:
        case "api_error" | "overloaded_error" | "timeout_error" | "rate_limit_error":
            return _again(failure(error.type, error.message, retryable=True), max_attempts)
        case "invalid_request_error" | "not_found_error" | "request_too_large":
            return Fail(failure=failure(error.type, error.message, retryable=False))
        case _:
            return Fail(failure=failure(error.type, error.message, retryable=True))


def _read(message: Message, failure: _FailureMaker) -> Fail | Report:
    usage = _usage_of(message.usage)
    uncounted = not _counts(message.usage)
    stop_reason = message.stop_reason or "unknown"

    def fail(type_: str, why: str, *, retryable: bool) -> Fail:
        return Fail(
            failure=failure(type_, why, retryable=retryable),
            model=message.model,
            usage=usage,
            uncounted=uncounted,
        )

    match stop_reason:
        case StopReason.REFUSAL:
            details = message.stop_details or StopDetails()
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
        uncounted=uncounted,
    )


def formed(
    report: Report, answers: Answers, *, custom_id: CustomId, attempts: int, max_attempts: int
) -> Outcome:
    """A report whose text is all of an answer that has a form: with its fields, or what it means
    that it hasn't got them."""
    try:
        answer = answers.read(report.text)
    except InvalidAnswer as error:
        failure = Failure(
            type=INVALID_OUTPUT,
            message=_clipped(error.message, LONGEST_MESSAGE),
            retryable=True,
            attempts=attempts + 1,
            custom_id=custom_id,
        )
        if report.truncated:
            cut = replace(
                failure, type=OUTPUT_CUT, message=_CUT[report.stop_reason], retryable=False
            )
            return Fail(
                failure=cut, model=report.model, usage=report.usage, uncounted=report.uncounted
            )
        again = _again(failure, max_attempts)
        return replace(again, usage=report.usage, uncounted=report.uncounted)
    return replace(report, text=answer.text or "", fields=answer.fields)


_CUT: Final[dict[str, str]] = {
    StopReason.MAX_TOKENS: (
        "the answer reached max_tokens before its JSON was whole; raise max_tokens in the recipe, "
        "then `docmill retry --all`"
    ),
    StopReason.CONTEXT_WINDOW: (
        "prompt and answer filled the model's context before the answer's JSON was whole; "
        "split the document"
    ),
}
"""Trying the same again would be paid for in vain."""


def _counts(usage: Tokens | None) -> bool:
    """Whether it says what there is to pay for."""
    return usage is not None and all(
        tokens is not None and 0 <= tokens <= MOST_TOKENS
        for tokens in (usage.input_tokens, usage.output_tokens)
    )


def _usage_of(usage: Tokens | None) -> Usage:
    if usage is None:
        return Usage()
    detail = usage.cache_creation or CacheCreation()
    hour = _count(detail.ephemeral_1h_input_tokens)
    written = _count(usage.cache_creation_input_tokens)
    five = _count(detail.ephemeral_5m_input_tokens) or max(written - hour, 0)
    return Usage(
        input_tokens=_count(usage.input_tokens),
        output_tokens=_count(usage.output_tokens),
        cache_creation_5m=five,
        cache_creation_1h=hour,
        cache_read=_count(usage.cache_read_input_tokens),
    )


def _count(tokens: int | None) -> int:
    return tokens if tokens is not None and 0 <= tokens <= MOST_TOKENS else 0


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
