"""Tokens of a job from a count of some of its requests: by it, the guess of the rest is scaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_COUNTED = 20
"""Documents; ours: a hundredth of what the lowest tier may ask for in a minute."""

MOST_BYTES = 32_000_000
"""Of one call (reference)."""

_COUNTED = frozenset(
    {
        "cache_control",
        "messages",
        "model",
        "output_config",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""What the call takes of a request (SDK 2.12: `types/message_count_tokens_params.py`); the others
put nothing into the prompt, or may not be sent in a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A request's tokens as they were guessed by its bytes, and as they were counted."""

    guessed: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTokens:
    """Tokens of all requests, of which `counted` were counted with `model`.

    `low` and `high` are what they come to if the others are guessed as far too high, or too low, as
    any that was counted; they are `tokens` where all were counted.
    """

    tokens: int
    low: int
    high: int
    counted: int
    of: int
    model: str


def counted_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """What is counted of a request's params."""
    return {name: value for name, value in params.items() if name in _COUNTED}


def scaled(sample: Sequence[Counted], *, requests: int, guessed: int, model: str) -> InputTokens:
    """Scale a sample, which isn't empty, to all `requests`, which are `guessed` together."""
    seen = sum(each.guessed for each in sample)
    tokens = sum(each.tokens for each in sample)
    rest = 0 if len(sample) >= requests else max(guessed - seen, 0)
    rates = [each.tokens / max(each.guessed, 1) for each in sample]
    return InputTokens(
        tokens=tokens + round(rest * tokens / max(seen, 1)),
        low=tokens + round(rest * min(rates)),
        high=tokens + round(rest * max(rates)),
        counted=len(sample),
        of=requests,
        model=model,
    )
