"""The keys of a recipe about its requests: whether a long answer goes on, what is cached."""

from typing import Final

from shared.domain.front_matter import FrontMatter, shown

REQUEST_KEYS: Final = ("continue", "cache")
MOST_CONTINUATIONS: Final = 10  # ours: each is asked with all of the answer so far


def continuations_of(head: FrontMatter) -> int:
    """How often an answer that stopped at `max_tokens` is asked to go on. Raises RecipeError."""
    return head.integer("continue", 0, least=0, most=MOST_CONTINUATIONS)


def may_cache(head: FrontMatter) -> bool:
    """Whether what all requests share may be marked to be cached. Raises RecipeError."""
    value = head.get("cache")
    if value is None or value == "auto":
        return True
    # YAML reads a bare off as false.
    if value == "off" or value is False:
        return False
    raise head.error("cache", f"{shown(value)} is neither auto nor off; write one of them")
