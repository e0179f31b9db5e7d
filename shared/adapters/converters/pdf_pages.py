"""PDFs that don't fit into one request are cut by their pages: into which ranges, and each of them.

Of one PDF one range is held at a time. A range has with its pages what they are drawn with, so
together they may be larger than the whole.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pypdfium2

from shared.adapters.converters.markdown import counted, one_line
from shared.adapters.converters.pdf import (
    attached,
    left_out,
    likely_tokens,
    most_tokens,
    opened,
    saved,
    text_sizes,
)
from shared.domain.attachment import TOO_MANY_PAGES, Attachment
from shared.domain.catalog import Sight
from shared.domain.page_ranges import Paged, PageRange, Room, page_ends
from shared.domain.parts import MOST_PARTS
from shared.ports.converter import Unconvertible

_TITLE: Final = "{name}, pages {first} to {last} of {pages}"


def ranges(data: bytes, sight: Sight, room: Room) -> Paged:
    """The ranges that the PDF is cut into. Raises Unconvertible."""
    with closing(opened(data)) as whole:
        _check(len(whole) <= MOST_PARTS * room.pages, len(whole))
        texts = list(text_sizes(whole, 0, len(whole)))
        ends = page_ends(
            [most_tokens([text], sight) for text in texts], pages=room.pages, most=room.tokens
        )
        _check(len(ends) <= MOST_PARTS, len(whole))
        found: list[PageRange] = []
        for start, end in zip([0, *ends], ends, strict=False):
            for first, last, size in _fitting(whole, start, end, room.bytes):
                billed = texts[first:last]
                part = PageRange(
                    start=first,
                    end=last,
                    bytes=size,
                    most_tokens=most_tokens(billed, sight),
                    likely_tokens=likely_tokens(billed, sight),
                )
                found.append(part)
                _check(len(found) <= MOST_PARTS, len(whole))
        return Paged(ranges=tuple(found), losses=left_out(whole))


def cut(name: str, data: bytes, sight: Sight, *, start: int, end: int) -> Attachment:
    """One range as a PDF of its own. Raises Unconvertible."""
    with closing(opened(data)) as whole:
        title = _TITLE.format(name=one_line(name), first=start + 1, last=end, pages=len(whole))
        return attached(title, _cut(whole, start, end), _texts(whole, start, end), sight)


def _texts(whole: pypdfium2.PdfDocument, start: int, end: int) -> list[int]:
    return list(text_sizes(whole, start, end))


def _fitting(
    whole: pypdfium2.PdfDocument, start: int, end: int, most: int
) -> Iterator[tuple[int, int, int]]:
    """The range with its bytes, or its halves where it has too many."""
    size = -(-len(_cut(whole, start, end)) // 3) * 4
    if size <= most:
        yield start, end, size
        return
    if end - start == 1:
        raise Unconvertible(
            "request_too_large",
            f"its page {end} by itself is {size:,} bytes as it is sent, and a request has room for "
            f"{most:,}; save it with smaller images",
        )
    middle = (start + end) // 2
    yield from _fitting(whole, start, middle, most)
    yield from _fitting(whole, middle, end, most)


def _cut(whole: pypdfium2.PdfDocument, start: int, end: int) -> bytes:
    with closing(pypdfium2.PdfDocument.new()) as part:
        part.import_pages(whole, list(range(start, end)))
        return saved(part)


def _check(fits: bool, pages: int) -> None:
    if not fits:
        raise Unconvertible(
            TOO_MANY_PAGES,
            f"it has {counted(pages, 'page')} and would take more than the {MOST_PARTS} parts that "
            "are made of one document; split it",
        )
