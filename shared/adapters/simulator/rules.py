"""What the API checks at once when it is called; `params_rules` is what it finds out later.

Messages as reported of the live API; where only the documentation speaks, worded after it.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from shared.adapters.simulator.messages import ApiError
from shared.adapters.simulator.params_rules import EXTENDED_OUTPUT, fault_of
from shared.adapters.simulator.settings import MAX_BYTES, MAX_REQUESTS

__all__ = [
    "EXTENDED_OUTPUT",
    "MAX_BYTES",
    "MAX_REQUESTS",
    "VERSIONS",
    "RawRequest",
    "check_headers",
    "fault_of",
    "read_params",
    "read_requests",
]

VERSIONS = ("2023-06-01", "2026-10-21")
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class RawRequest(msgspec.Struct):
    """One request of a create call, its params unread."""

    custom_id: object = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Body(msgspec.Struct):
    requests: list[RawRequest] | msgspec.UnsetType = msgspec.UNSET


_READ_BODY = msgspec.json.Decoder(_Body)
_READ_PARAMS = msgspec.json.Decoder()


def check_headers(headers: Mapping[str, str], keys: Sequence[str]) -> None:
    """Authentication and version. Raises ApiError."""
    key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
    if not key.strip():
        raise ApiError(401, "authentication_error", "x-api-key header is required")
    if keys and key not in keys:
        raise ApiError(401, "authentication_error", "invalid x-api-key")
    version = headers.get("anthropic-version")
    if not version:
        raise ApiError(400, "invalid_request_error", "anthropic-version: header is required")
    if version not in VERSIONS:
        raise ApiError(
            400, "invalid_request_error", f"anthropic-version: {version} is not a valid version"
        )


def read_requests(body: bytes | memoryview) -> list[RawRequest]:
    """The requests of a create call. Raises ApiError with the message of the first fault."""
    try:
        requests = _READ_BODY.decode(body).requests
    except msgspec.ValidationError as error:
        raise _invalid(f"requests: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"The request body is not valid JSON: {error}") from error
    if requests is msgspec.UNSET:
        raise _invalid("requests: Field required")
    if not requests:
        raise _invalid("requests: List should have at least 1 item after validation, not 0")
    if len(requests) > MAX_REQUESTS:
        raise _invalid(
            f"requests: List should have at most {MAX_REQUESTS} items after validation, "
            f"not {len(requests)}"
        )
    seen: set[str] = set()
    for place, request in enumerate(requests):
        _check_request(place, request)
        custom_id = str(request.custom_id)
        if custom_id in seen:
            raise _invalid(
                "requests: custom_id's must be unique within a batch. "
                f"Duplicate custom_id found: {custom_id}"
            )
        seen.add(custom_id)
    return requests


def _check_request(place: int, request: RawRequest) -> None:
    where = f"requests.{place}"
    custom_id = request.custom_id
    if custom_id is msgspec.UNSET:
        raise _invalid(f"{where}.custom_id: Field required")
    if not isinstance(custom_id, str):
        raise _invalid(f"{where}.custom_id: Input should be a valid string")
    if len(custom_id) > 64:
        raise _invalid(f"{where}.custom_id: String should have at most 64 characters")
    if not _CUSTOM_ID.fullmatch(custom_id):
        raise _invalid(f"{where}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
    if request.params is msgspec.UNSET:
        raise _invalid(f"{where}.params: Field required")


def read_params(request: RawRequest) -> object:
    """The params of a request. Raises ApiError where they are not JSON; what else is wrong with
    them comes out later."""
    try:
        return _READ_PARAMS.decode(request.params)  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"The request body is not valid JSON: {error}") from error


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)
