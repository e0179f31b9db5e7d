"""Counting tokens, as `/v1/messages/count_tokens` does, by the simulator's own measure of them.

What is refused is worded after the documentation; of the live API nothing was seen.
"""

from typing import Any

import msgspec

from shared.adapters.builtin import catalog
from shared.adapters.simulator.messages import ApiError, Response, answer
from shared.adapters.simulator.prompt import read_prompt

COUNT_TOKENS = "/v1/messages/count_tokens"
MOST_BYTES = 32_000_000

_DECODE = msgspec.json.Decoder().decode
_TAKEN = frozenset(
    {
        *("cache_control", "messages", "model", "output_config", "speed", "system", "thinking"),
        *("tool_choice", "tools", "user_profile_id", "workspace_id"),
    }
)


def count(body: bytes | memoryview) -> Response:
    """The answer. Raises ApiError."""
    if len(body) > MOST_BYTES:
        raise ApiError(413, "request_too_large", "Request exceeds the maximum size")
    try:
        params: Any = _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"The request body is not valid JSON: {error}") from error
    if not isinstance(params, dict):
        raise _invalid("Input should be an object")
    for name in ("model", "messages"):
        if not params.get(name):
            raise _invalid(f"{name}: Field required")
    if unknown := sorted(params.keys() - _TAKEN):
        raise _invalid(f"{unknown[0]}: Extra inputs are not permitted")
    if catalog().find(str(params["model"])) is None:
        raise ApiError(404, "not_found_error", f"model: {params['model']}")
    return answer({"input_tokens": read_prompt(params).tokens})


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)
