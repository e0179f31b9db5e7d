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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. Header names are lower case; `body` may be any buffer."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. `lines` are result lines with their line ends; `cut` is how it is lost."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    lines: Iterator[bytes] | None = None
    cut: Cut | None = None


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
