"""How a PDF is cut by its pages: into ranges that each fit into a request, about evenly filled."""

from collections.abc import Sequence

from shared.domain.record import Record


class Room(Record, frozen=True, kw_only=True):
    """What a request takes of a PDF at most: pages, the tokens they may be billed as, and bytes as
    they are sent, in base64."""

    pages: int
    tokens: int
    bytes: int


class PageRange(Record, frozen=True, kw_only=True):
    """Pages from `start` up to `end`, counted from 0, as a PDF of their own with so many `bytes` in
    base64, billed as so many tokens at most and likely."""

    start: int
    end: int
    bytes: int
    most_tokens: int
    likely_tokens: int


class Paged(Record, frozen=True, kw_only=True):
    """All pages of a PDF in ranges, in order, and what else of it no part has."""

    ranges: tuple[PageRange, ...]
    losses: tuple[str, ...] = ()

    @property
    def pages(self) -> int:
        """How many it has."""
        return self.ranges[-1].end


def page_ends(tokens: Sequence[int], *, pages: int, most: int) -> list[int]:
    """Where ranges end that have so many pages at most and, by the tokens of each page, so many
    tokens; a page with more is a range by itself.

    There are as few as there can be, and the fullest is as little full as it can be then.
    """
    ends = _ends(tokens, pages=pages, most=most)
    low, high = -(-sum(tokens) // len(ends)), most
    while low < high:
        middle = (low + high) // 2
        even = _ends(tokens, pages=pages, most=middle)
        if len(even) == len(ends):
            high = middle
        else:
            low = middle + 1
    return _ends(tokens, pages=pages, most=high)


def _ends(tokens: Sequence[int], *, pages: int, most: int) -> list[int]:
    """Each as full as it gets."""
    ends: list[int] = []
    start = held = 0
    for page, size in enumerate(tokens):
        if page > start and (page - start >= pages or held + size > most):
            ends.append(page)
            start = page
            held = 0
        held += size
    return [*ends, len(tokens)]
