"""What the simulator reads of a prompt: its size, the headings it asks for, what it caches."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from shared.adapters.simulator.attached import attached, tokens_of

BYTES_PER_TOKEN = 4
_FENCED = re.compile(r"<data-(\w+)>.*?</data-\1>", re.DOTALL)
_HEADING = re.compile(r"^#{2,3} .{1,100}$", re.MULTILINE)
_MOST_HEADINGS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """`tokens` in all, of which the first `cached` end at a cache mark (`hour`: of one hour).

    `prefix` is a digest of what is cached. `digest` is of what was asked: the system prompt and the
    first message. `said` is how much of the answer stands behind them, in characters, where it asks
    to go on.
    """

    tokens: int
    cached: int
    hour: bool
    headings: tuple[str, ...]
    digest: str
    prefix: str = ""
    said: int = 0


def read_prompt(params: dict[str, Any]) -> Prompt:
    """Read a row's params, which may be anything."""
    parts: list[str] = []
    size = cached = 0
    hour = False
    hashed = hashlib.blake2b(str(params.get("model")).encode(), digest_size=8)
    prefix = ""
    for text, mark in _pieces(params):
        parts.append(text)
        data = text.encode("utf-8", "replace")
        size += len(data)
        hashed.update(data)
        if mark is not None:
            cached, hour, prefix = size, hour or mark.get("ttl") == "1h", hashed.hexdigest()
    if isinstance(params.get("cache_control"), dict):
        hour = hour or params["cache_control"].get("ttl") == "1h"
        cached, prefix = size, hashed.hexdigest()
    size += max(0, len(parts) - 1)
    text = "\n".join(parts)
    outside = text if "<data-" not in text else _FENCED.sub("", text)
    return Prompt(
        tokens=max(1, size // BYTES_PER_TOKEN + tokens_of(params)),
        cached=cached // BYTES_PER_TOKEN,
        hour=hour,
        headings=tuple(_HEADING.findall(outside)[:_MOST_HEADINGS]),
        digest=_asked(params),
        prefix=prefix,
        said=_said(params.get("messages")),
    )


def _asked(params: dict[str, Any]) -> str:
    messages = params.get("messages")
    first = messages[:1] if isinstance(messages, list) else messages
    text = "\n".join(text for text, _ in _pieces({**params, "messages": first}))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _said(messages: object) -> int:
    """The length of what the assistant said before the last message."""
    found = messages if isinstance(messages, list) else []
    return sum(
        len(one["content"])
        for one in found[:-1]
        if isinstance(one, dict)
        and one.get("role") == "assistant"
        and isinstance(one.get("content"), str)
    )


def may_exceed(params: dict[str, Any], tokens: int) -> bool:
    """Whether it is worth counting: a cheap look that never misses a prompt of more `tokens`."""
    if next(attached(params), None) is not None:
        return True
    return sum(len(text) + 1 for text, _ in _pieces(params)) > tokens


def _pieces(params: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """All text that is sent, in order, each with its cache mark."""
    messages = params.get("messages")
    contents = [params.get("system")]
    if isinstance(messages, list):
        contents += [one.get("content") for one in messages if isinstance(one, dict)]
    pieces: list[tuple[str, dict[str, Any] | None]] = []
    for content in contents:
        if isinstance(content, str):
            pieces.append((content, None))
        elif isinstance(content, list):
            pieces += [_block(block) for block in content if isinstance(block, dict)]
    return pieces


def _block(block: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    text, mark = block.get("text"), block.get("cache_control")
    return (text if isinstance(text, str) else ""), (mark if isinstance(mark, dict) else None)
