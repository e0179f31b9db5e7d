"""What the API finds wrong with the params of a row, which comes out as an errored row at the end.

Messages as reported of the live API; where only the documentation speaks, worded after it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.adapters.builtin import catalog
from shared.adapters.simulator.attached import fault_of_attached
from shared.adapters.simulator.cache_rules import cache_fault
from shared.adapters.simulator.prompt import may_exceed, read_prompt
from shared.adapters.simulator.structured import format_fault

EXTENDED_OUTPUT = "output-300k-2026-03-24"
_UNDOCUMENTED_CAP = 128_000
_WITHOUT_SAMPLING = "2026-10-21"
_SAMPLING = ("temperature", "top_p", "top_k")
_REJECTED = (
    "speed",
    "store",
    "previous_thread_event_id",
    "cache_hint",
    "context_hint",
    "research_preview_2026_02",
    "fallbacks",
)

Error = tuple[str, str]


def fault_of(params: object, *, version: str, betas: Sequence[str]) -> Error | None:
    """The first thing that is wrong: the error's type and message."""
    if not isinstance(params, dict):
        return _wrong("params: Input should be an object")
    missing = [name for name in ("model", "messages", "max_tokens") if params.get(name) is None]
    if missing:
        return _wrong(f"{missing[0]}: Field required")
    if not (isinstance(params["messages"], list) and params["messages"]):
        return _wrong("messages: at least one message is required")
    most = params["max_tokens"]
    if not isinstance(most, int) or isinstance(most, bool):
        return _wrong("max_tokens: Input should be a valid integer")
    if most < 1:
        return _wrong("max_tokens: Input should be greater than or equal to 1")
    return (
        _unsupported(params)
        or (_withdrawn(params) if version == _WITHOUT_SAMPLING else None)
        or _role_fault(params["messages"])
        or cache_fault(params)
        or _format_fault(params)
        or _model_fault(params, betas)
    )


def _unsupported(params: dict[str, Any]) -> Error | None:
    if params.get("stream"):
        return _wrong("stream: streaming is not supported in batches")
    for name in _REJECTED:
        if name in params:
            return _wrong(f"{name}: not supported in batches")
    policy = params.get("billing_policy")
    if isinstance(policy, dict) and policy.get("bill_to") == "user_profile":
        return _wrong("billing_policy.bill_to: user_profile is not supported in batches")
    return None


def _withdrawn(params: dict[str, Any]) -> Error | None:
    """What API version 2026-10-21 no longer takes, even at its default."""
    for name in _SAMPLING:
        if name in params:
            return _wrong(f"{name}: Extra inputs are not permitted")
    for where, role, block in _blocks(params["messages"]):
        if role == "assistant" and block.get("type") == "document":
            return _wrong(f"{where}: document blocks are not permitted in assistant messages")
        if role == "user" and block.get("type") == "text" and block.get("citations"):
            return _wrong(f"{where}.citations: Extra inputs are not permitted")
    return None


def _format_fault(params: dict[str, Any]) -> Error | None:
    why = format_fault(params)
    return None if why is None else _wrong(why)


def _role_fault(messages: list[Any]) -> Error | None:
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            return _wrong(f"messages.{place}: Input should be an object")
        if message.get("role") not in ("user", "assistant"):
            return _wrong(f"messages.{place}.role: Input should be 'user' or 'assistant'")
        if message.get("content") is None:
            return _wrong(f"messages.{place}.content: Field required")
    return None


def _blocks(messages: list[Any]) -> Iterator[tuple[str, object, dict[str, Any]]]:
    for place, message in enumerate(messages):
        content = message.get("content") if isinstance(message, dict) else None
        for number, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict):
                yield f"messages.{place}.content.{number}", message.get("role"), block


def _model_fault(params: dict[str, Any], betas: Sequence[str]) -> Error | None:
    model_id, most = params["model"], params["max_tokens"]
    model = catalog().find(str(model_id))
    if model is None:
        return "not_found_error", f"model: {model_id}"
    cap = model.max_output or _UNDOCUMENTED_CAP
    if EXTENDED_OUTPUT in betas and model.extended_output:
        cap = model.extended_output
    if most > cap:
        return _wrong(
            f"max_tokens: {most} > {cap}, which is the maximum allowed number of output tokens "
            f"for {model_id}"
        )
    if wrong := fault_of_attached(params, model.context_window):
        return _wrong(wrong)
    if not may_exceed(params, model.context_window):
        return None
    tokens = read_prompt(params).tokens
    if tokens > model.context_window:
        return _wrong(f"prompt is too long: {tokens} tokens > {model.context_window} maximum")
    return None


def _wrong(message: str) -> Error:
    return "invalid_request_error", message
