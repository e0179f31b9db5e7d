"""Requests and responses as values, so that the core needs neither sockets nor a clock."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Cut(StrEnum):
    """How an answer is lost on its way."""

    BEFORE = "before"
    AFTER = "after"
    MID_LINE = "mid_line"
    LINE_END = "line_end"


class Framing(StrEnum):
    """How a client learns where results end.

    With `length` every cut is seen. With `chunked` one in mid-line is, one at a line's end isn't.
    With `close` none is: the end of the connection is the end of the body.
    """

    CHUNKED = "chunked"
    LENGTH = "length"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. Header names are lower case; `body` may be any buffer.

    `length` is that of a body which was too long to be kept.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""
    length: int | None = None

    @property
    def body_length(self) -> int:
        """Bytes the client sent."""
        return len(self.body) if self.length is None else self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. `lines` are result lines with their line ends; `cut` is how it is lost.

    `length` is what to announce for `lines` where framing needs it. `saves` is the batch that this
    call made, changed or deleted: keep `Simulator.dump` of it before answering, even if it is cut.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    lines: Iterator[bytes] | None = None
    cut: Cut | None = None
    framing: Framing = Framing.CHUNKED
    length: int | None = None
    delay_s: float = 0.0
    saves: str | None = None


class ApiError(Exception):
    """An error answer of the API."""

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        *,
        error_code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.message = message
        self.error_code = error_code
        self.headers = headers or {}

    def response(self, request_id: str) -> Response:
        """The answer in the shape of the API reference."""
        error: dict[str, object] = {"type": self.type, "message": self.message}
        if self.error_code:
            error["details"] = {"error_code": self.error_code}
        return answer(
            {"type": "error", "error": error, "request_id": request_id},
            status=self.status,
            headers={**self.headers, "request-id": request_id},
        )


def answer(
    content: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer."""
    return Response(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        body=json.dumps(content, ensure_ascii=False).encode(),
    )


def timestamp(moment: datetime | None) -> str | None:
    """A time as the API writes it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
