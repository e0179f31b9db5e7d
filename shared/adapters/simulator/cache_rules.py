"""What the API finds wrong with marks for the prompt cache; worded after its documentation."""

from collections.abc import Iterator
from typing import Any

_MOST_MARKS = 4
_LIFETIMES = ("5m", "1h")

Error = tuple[str, str]


def cache_fault(params: dict[str, Any]) -> Error | None:
    """The first thing that is wrong with the marks of a row's params."""
    marks = [*_marks(params)]
    lifetimes: list[str] = []
    for where, block in marks:
        mark = block["cache_control"]
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
            return _wrong(f"{where}.cache_control.type: Input should be 'ephemeral'")
        if mark.get("ttl", "5m") not in _LIFETIMES:
            return _wrong(f"{where}.cache_control.ttl: Input should be '5m' or '1h'")
        if block.get("type") == "text" and not block.get("text"):
            return _wrong(f"{where}: cache_control cannot be set for empty text blocks")
        lifetimes.append(mark.get("ttl", "5m"))
    if len(marks) > _MOST_MARKS:
        return _wrong(
            f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. "
            f"Found {len(marks)}."
        )
    if "1h" in lifetimes[lifetimes.index("5m") :] if "5m" in lifetimes else False:
        return _wrong("cache_control: a ttl='1h' block must not come after a ttl='5m' block")
    return None


def _marks(params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every block that carries a mark, in the order in which a prompt is made of them."""
    messages = params.get("messages")
    contents = [("tools", params.get("tools")), ("system", params.get("system"))]
    contents += [
        (f"messages.{place}.content", one.get("content"))
        for place, one in enumerate(messages if isinstance(messages, list) else [])
        if isinstance(one, dict)
    ]
    for name, content in contents:
        for number, block in enumerate(content if isinstance(content, list) else []):
            if isinstance(block, dict) and block.get("cache_control") is not None:
                yield f"{name}.{number}", block
    if params.get("cache_control") is not None:
        yield "request", {"cache_control": params["cache_control"]}


def _wrong(message: str) -> Error:
    return "invalid_request_error", message
