"""What is sent beside a prompt's text: a PDF or an image, as a content block of the Messages API.

Its bytes say nothing of what it costs: a PDF is billed by the page, an image by its size. So each
knows how many tokens it may be billed as, at most and likely.
"""

from collections.abc import Sequence
from typing import Any, Final

from shared.domain.record import Record

PDF: Final = "application/pdf"

LARGE_CONTEXT: Final = 1_000_000
"""From this context on a request takes more pages and images (reference)."""

MOST_PAGES: Final = 600
MOST_PAGES_OF_SMALL: Final = 100
"""Of all PDFs in a request, and images likewise (reference, PDF support and vision)."""

TOO_MANY_PAGES: Final = "too_many_pages"
"""The failure of what has more of them than a request takes."""

MANY_IMAGES: Final = 20
EDGE_OF_MANY_PX: Final = 2_000
"""With more images than that, none may have a longer side than this (reference)."""


class Attachment(Record, frozen=True, kw_only=True):
    """A PDF of so many `pages`, or an image with `edge_px` at its longer side. `data` is base64."""

    media_type: str
    title: str
    data: str
    pages: int = 0
    edge_px: int = 0
    most_tokens: int
    likely_tokens: int

    @property
    def is_image(self) -> bool:
        """Whether it goes as an image."""
        return self.media_type != PDF

    def block(self) -> dict[str, Any]:
        """The content block, always with the same order of keys."""
        source = {"type": "base64", "media_type": self.media_type, "data": self.data}
        if self.is_image:
            return {"type": "image", "source": source}
        return {"type": "document", "source": source, "title": self.title}


def most_pages(context_tokens: int) -> int:
    """How many pages, and how many images, a request to a model with this context may have."""
    return MOST_PAGES if context_tokens >= LARGE_CONTEXT else MOST_PAGES_OF_SMALL


def excess(
    attachments: Sequence[Attachment], context_tokens: int, *, remedy: str = "split it"
) -> tuple[str, str] | None:
    """What a request can't take of them: a stable word, and one line with what to do."""
    most = most_pages(context_tokens)
    pages = sum(each.pages for each in attachments)
    if pages > most:
        return TOO_MANY_PAGES, too_many_pages(pages, most, remedy=remedy)
    images = sum(each.is_image for each in attachments)
    if images > most:
        return (
            "too_many_images",
            f"it has {images:,} images, and a request to this model takes {most}; {remedy}",
        )
    edge = max((each.edge_px for each in attachments), default=0)
    if images > MANY_IMAGES and edge > EDGE_OF_MANY_PX:
        message = (
            f"it has {images:,} images, of which one has {edge:,} pixels at a side; with more than "
            f"{MANY_IMAGES} a request takes {EDGE_OF_MANY_PX:,}: make them smaller, or {remedy}"
        )
        return "images_too_large", message
    return None


def too_many_pages(pages: int, most: int, *, remedy: str = "split it") -> str:
    """Why a PDF can't go as one request, and what to do."""
    return f"it has {pages:,} pages, and a request to this model takes {most}; {remedy}"


def named(attachments: Sequence[Attachment]) -> str:
    """What they are, as people count: `3 pages and 1 image`."""
    images = sum(each.is_image for each in attachments)
    pages = sum(each.pages for each in attachments)
    counts = ((pages, "page"), (images, "image"))
    return " and ".join(f"{n:,} {what}{'s' * (n != 1)}" for n, what in counts if n)


def billed_at_most(attachments: Sequence[Attachment], *, encoded: int, context_tokens: int) -> int:
    """As how many tokens a request of `encoded` bytes may be billed: a byte of text is one token
    at most, and attachments know theirs.

    What doesn't fit the model's context is refused, unbilled.
    """
    text = encoded - sum(len(each.data) for each in attachments)
    attached = sum(each.most_tokens for each in attachments)
    return text + min(attached, context_tokens)
