"""What an answer that is no success, or no answer, means for the caller: decided here only.

Statuses, types and codes are those of the fact sheet's section 5 (docs: /api/errors). What a
call may have done decides too: a create without a telling answer may have been done, all other
calls can simply be made again.
"""

import email.utils
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.pause import PauseReason
from shared.ports.batch_api import ApiError, InDoubt, NotFound, Refused, Unavailable

LONGEST_RETRY_AFTER = timedelta(hours=24)
"""A server that asks for more is taken at this: the API's own limits refill within minutes."""

_LONGEST_MESSAGE = 500
_LONGEST_TYPE = 100
_TO_HOST = re.compile(r"\S+(?=@)")
"""All before the host, in an address that can't be read better than that."""

_LEAST_KEY = 16
"""Characters. A shorter key ("test") is a word that a report, or an error, may hold for reasons of
its own."""

_SPEND_CODES = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
    }
)
"""`error.details.error_code` of what only a person mends (SDK: types/shared/*_error_details)."""

_SPEND_MESSAGES = re.compile(
    r"You have reached your specified API usage limits|Your credit balance is too low"
)
"""These two come as a plain 400 `invalid_request_error`: only the message tells."""

_REQUEST_NAMED = re.compile(r"requests\.(\d{1,6})\b")
"""How a refused create names the one request it is about: `requests.0.custom_id: …` (reported)."""

_MODEL_NAMED = re.compile(r"(?<![/\w-])model(?![/\w-])", re.IGNORECASE)
"""A `not_found_error` about a model is `model: x`; in batches a row's, elsewhere the answer."""

_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_KEY = re.compile(r"sk-ant-[A-Za-z0-9_-]+")
_USERINFO = re.compile(r"(?<=://)[^\s/@]+(?=@)|[^\s/@:]+:[^\s/@]+(?=@)")
"""A gateway's user and password, in an address that an error names."""


class Call(StrEnum):
    """The port's calls."""

    CREATE = "create"
    RETRIEVE = "retrieve"
    CANCEL = "cancel"
    LIST = "list"
    RESULTS = "results"
    COUNT_TOKENS = "count_tokens"


_OF_ONE_BATCH = frozenset({Call.RETRIEVE, Call.CANCEL, Call.RESULTS})
_AT_THE_ADDRESS = frozenset({Call.CREATE, Call.LIST})
"""They name nothing that could be missing but the API itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer that is no success; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def from_answer(answer: Answer, call: Call, *, now: datetime, hide: Sequence[str] = ()) -> ApiError:
    """What to raise for an answer. `hide` are secrets that messages must not repeat."""
    error = _error(answer, hide=hide)
    message = one_line(_described(answer, error), hide=hide)
    later = retry_after(answer.headers, now=now)
    status = answer.status
    if status in (408, 499) or status >= 500:
        if status == 529 or error.type == "overloaded_error":
            return Unavailable(message, reason=PauseReason.OVERLOADED, retry_after=later)
        return unproven(message, call, retry_after=later)
    if status < 400:
        return _odd(status, message, call)
    if _is_about_money(status, error):
        return Unavailable(message, reason=PauseReason.SPEND_LIMIT, retry_after=later)
    match status:
        case 401 | 403:
            message = one_line(f"the key is refused, check ANTHROPIC_API_KEY: {message}")
            return Unavailable(message, reason=PauseReason.ACCESS, retry_after=later)
        case 429:
            return Unavailable(message, reason=PauseReason.RATE_LIMIT, retry_after=later)
        case 404 if call in _OF_ONE_BATCH:
            return NotFound(message)
        case 404 | 405 if call in _AT_THE_ADDRESS and not _is_about_a_model(error):
            message = one_line(
                f"no Batches API at the address, check ANTHROPIC_BASE_URL: {message}"
            )
            return Unavailable(message, reason=PauseReason.ACCESS, retry_after=later)
        case 413:
            return Refused(message, type="request_too_large")
        case _:
            named = _REQUEST_NAMED.match(error.message)
            return Refused(
                message,
                type=error.type or f"http_{status}",
                request=int(named[1]) if named else None,
            )


def from_failure(failure: BaseException, call: Call, *, hide: Sequence[str] = ()) -> ApiError:
    """What to raise where no whole answer came: `failure` is the SDK's, httpx2's or aiohttp's.

    Only aiohttp knows whether a connection was ever made: its transport maps a refused
    connection and one lost after sending to the same `httpx2.ConnectError`.
    """
    causes = list(_causes(failure))
    for error in causes:
        reason = _never_sent(error)
        if reason is not None:
            return Unavailable(one_line(reason, hide=hide), reason=PauseReason.UNREACHABLE)
    if any(isinstance(error, TimeoutError) for error in causes):
        return unproven("no answer in time", call)
    told = str(causes[-1]) or type(causes[-1]).__name__
    return unproven(one_line(f"no whole answer: {told}", hide=hide), call)


def unproven(message: str, call: Call, *, retry_after: timedelta | None = None) -> ApiError:
    """No telling answer: in doubt for a create, else a reason to try again."""
    if call is Call.CREATE:
        return InDoubt(message)
    return Unavailable(message, reason=PauseReason.UNREACHABLE, retry_after=retry_after)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """How long the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or a date."""
    seconds = _number(headers.get("retry-after-ms"), scale=0.001)
    text = headers.get("retry-after")
    if seconds is None:
        seconds = _number(text)
    if seconds is None and text:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    if seconds is None:
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_RETRY_AFTER.total_seconds()))


def one_line(text: str, *, hide: Sequence[str] = ()) -> str:
    """Foreign text fit for a log line: one line, bounded, without what is to be hidden."""
    for secret in hide:
        if len(secret) >= _LEAST_KEY:
            text = text.replace(secret, "…")
    text = _USERINFO.sub("…", _KEY.sub("sk-ant-…", text))
    text = _SPACE_OR_CONTROL.sub(" ", text).strip()
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def without_key(lines: list[bytes], key: str | None) -> list[bytes]:
    """Result lines as they are, but for a gateway's that repeat the key in an error."""
    secret = (key or "").encode()
    if len(secret) < _LEAST_KEY:
        return lines
    return [line.replace(secret, b"...") if secret in line else line for line in lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    type: str = ""
    message: str = ""
    code: str = ""


def _error(answer: Answer, *, hide: Sequence[str]) -> _Error:
    """The error object of an answer; the edge's and a proxy's answers may hold none."""
    try:
        error = _field(msgspec.json.decode(answer.body), "error")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()
    return _Error(
        type=one_line(_text(_field(error, "type")), hide=hide)[:_LONGEST_TYPE],
        message=_text(_field(error, "message")),
        code=_text(_field(_field(error, "details"), "error_code")),
    )


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _described(answer: Answer, error: _Error) -> str:
    code = f" {error.code}" if error.code else ""
    kind = f" {error.type}{code}" if error.type else ""
    request = answer.headers.get("request-id")
    where = f", request {request}" if request else ""
    return f"{error.message or 'no explanation'} (HTTP {answer.status}{kind}{where})"


def _is_about_money(status: int, error: _Error) -> bool:
    return (
        status == 402
        or error.code in _SPEND_CODES
        or error.type == "billing_error"
        or (status == 400 and _SPEND_MESSAGES.search(error.message) is not None)
    )


def _is_about_a_model(error: _Error) -> bool:
    return error.type == "not_found_error" and _MODEL_NAMED.search(error.message) is not None


def _odd(status: int, message: str, call: Call) -> ApiError:
    """Redirects aren't followed: the key and the documents go where the user said, only."""
    if status in (301, 302, 307, 308):
        return Unavailable(
            f"{message}: the address redirects elsewhere; check ANTHROPIC_BASE_URL",
            reason=PauseReason.UNREACHABLE,
        )
    return unproven(message, call)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The failure and what it was raised from; never its context, which may be unrelated."""
    error: BaseException | None = failure
    while error is not None:
        yield error
        error = error.__cause__


def _never_sent(error: BaseException) -> str | None:
    """Why nothing can have left this machine, or None where something may have."""
    import aiohttp  # noqa: PLC0415 - 33 MB, and only where the SDK has it already
    import httpx2  # noqa: PLC0415

    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"{error.host} can't be trusted: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            return f"{error.host}:{error.port} can't be reached: {error.os_error}"
        case aiohttp.ConnectionTimeoutError() | httpx2.ConnectTimeout():
            return "no connection in time"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refuses: {error.status} {error.message}"
        case aiohttp.InvalidURL() | httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
            return f"the address is not valid: {_TO_HOST.sub('…', str(error))}"
        case _:
            return None


def _number(text: str | None, *, scale: float = 1.0) -> float | None:
    try:
        number = float(text) * scale if text else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
