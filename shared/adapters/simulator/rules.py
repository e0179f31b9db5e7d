"""What the API checks: at once when a batch is created, and later for the params of each row.

Messages as reported of the live API; where only the documentation speaks, worded after it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.adapters.builtin import catalog
from shared.adapters.simulator.messages import ApiError

MAX_REQUESTS = 100_000
MAX_BYTES = 256_000_000
EXTENDED_OUTPUT = "output-300k-2026-03-24"
VERSIONS = ("2023-06-01", "2026-10-21")
_UNDOCUMENTED_CAP = 128_000
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REJECTED = ("speed", "store", "previous_thread_event_id", "cache_hint", "context_hint")
_SAMPLING = ("temperature", "top_p", "top_k")


class RawRequest(msgspec.Struct):
    """One request of a create call, its params unread."""

    custom_id: object = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Body(msgspec.Struct):
    requests: list[RawRequest] | msgspec.UnsetType = msgspec.UNSET


_READ_BODY = msgspec.json.Decoder(_Body)
READ_PARAMS = msgspec.json.Decoder(dict[str, Any])


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
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


def fault_of(params: object, *, version: str, betas: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with a row's params: the error's type and message. Found out later."""
    if not isinstance(params, dict):
        return "invalid_request_error", "params: Input should be an object"
    model_id, messages, most = params.get("model"), params.get("messages"), params.get("max_tokens")
    checks = {
        "model: Field required": model_id is None,
        "messages: Field required": messages is None,
        "max_tokens: Field required": most is None,
    }
    missing = next((message for message, wrong in checks.items() if wrong), None)
    if missing is None and not (isinstance(messages, list) and messages):
        missing = "messages: at least one message is required"
    if missing is None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        missing = "max_tokens: Input should be greater than or equal to 1"
    if missing is not None:
        return "invalid_request_error", missing
    return _unsupported(params, version, betas) or _model_fault(params, betas)


def _unsupported(
    params: dict[str, Any], version: str, betas: Sequence[str]
) -> tuple[str, str] | None:
    del betas
    if params.get("stream"):
        return "invalid_request_error", "stream: streaming is not supported in batches"
    for name in _REJECTED:
        if name in params:
            return "invalid_request_error", f"{name}: not supported in batches"
    if version == "2026-10-21":
        for name in _SAMPLING:
            if name in params:
                return "invalid_request_error", f"{name}: Extra inputs are not permitted"
    return None


def _model_fault(params: dict[str, Any], betas: Sequence[str]) -> tuple[str, str] | None:
    model_id, most = params["model"], params["max_tokens"]
    model = catalog().find(str(model_id))
    if model is None:
        return "not_found_error", f"model: {model_id}"
    cap = model.max_output or _UNDOCUMENTED_CAP
    if EXTENDED_OUTPUT in betas and model.extended_output:
        cap = model.extended_output
    if most > cap:
        message = (
            f"max_tokens: {most} > {cap}, which is the maximum allowed number of output tokens "
            f"for {model_id}"
        )
        return "invalid_request_error", message
    return None


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)
