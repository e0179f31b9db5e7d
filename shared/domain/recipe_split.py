"""The recipe's key `split`: what becomes of a document that is too long for one request."""

from enum import StrEnum

from shared.domain.front_matter import FrontMatter, shown


class Split(StrEnum):
    """`auto`: into parts, whose answers are merged. `never`: a failure that costs nothing."""

    AUTO = "auto"
    NEVER = "never"


def split_of(head: FrontMatter) -> Split:
    """What the recipe says. Raises RecipeError."""
    value = head.get("split")
    if value is None:
        return Split.AUTO
    if value not in tuple(Split):
        raise head.error(
            "split", f"{shown(value)} is neither auto nor never; leave it out for auto"
        )
    return Split(value)
