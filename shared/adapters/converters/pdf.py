"""PDFs go as they are; they are opened to count their pages and what may be read on them.

PDFium also opens what is encrypted without a password, which the API refuses.
"""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from shared.adapters.converters.markdown import counted, one_line
from shared.adapters.converters.packages import broken
from shared.domain.attachment import PDF, TOO_MANY_PAGES, Attachment, too_many_pages
from shared.domain.catalog import Sight
from shared.ports.converter import Converted, Unconvertible

_BYTES_PER_TOKEN: Final = 3
"""Of text, cautiously, as elsewhere in estimates."""
_WITHOUT_SECURITY: Final = 3  # FPDF_REMOVE_SECURITY
_TRAILER_BYTES: Final = 400
_RANDOM_ID: Final = re.compile(rb"(?<=<)[0-9A-F]{32}(?=>)")
_FIXED_ID: Final = b"0" * 32


def document(name: str, data: bytes, sight: Sight, *, most_pages: int) -> Converted:
    """A PDF as one attachment. Raises Unconvertible."""
    with closing(opened(data)) as found:
        pages = len(found)
        if pages > most_pages:
            raise Unconvertible(TOO_MANY_PAGES, too_many_pages(pages, most_pages))
        if pdfium.FPDF_GetSecurityHandlerRevision(found) != -1:
            data = saved(found)
        attachment = _attachment(one_line(name), data, found, sight)
        losses = left_out(found)
    size = counted(pages, "page")
    text = f'The document "{attachment.title}" (PDF, {size}) is attached to this message.'
    return Converted(text=text, attachments=(attachment,), losses=losses)


def opened(data: bytes) -> pypdfium2.PdfDocument:
    """Raises Unconvertible for what is no PDF, is locked or has no pages."""
    try:
        found = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unconvertible(
                "encrypted", "it needs a password to be opened; save it without one"
            ) from error
        raise broken(f"it can't be read as a PDF ({error})") from error
    if len(found) == 0:
        found.close()
        raise Unconvertible("empty_document", "the PDF has no pages; there is nothing to read")
    return found


def saved(found: pypdfium2.PdfDocument) -> bytes:
    """As a file, without a lock; the same each time."""
    out = io.BytesIO()
    found.save(out, flags=_WITHOUT_SECURITY)
    data = out.getvalue()
    place = data.rfind(b"/ID", -_TRAILER_BYTES)  # drawn at random, of the same length always
    return data[:place] + _RANDOM_ID.sub(_FIXED_ID, data[place:]) if place >= 0 else data


def _attachment(title: str, data: bytes, found: pypdfium2.PdfDocument, sight: Sight) -> Attachment:
    """A page is billed as its text and as an image. How much text the provider finds isn't known,
    so it counts as what is documented of dense pages where there is less."""
    return attached(title, data, list(text_sizes(found, 0, len(found))), sight)


def attached(title: str, data: bytes, texts: Sequence[int], sight: Sight) -> Attachment:
    """A PDF whose pages have so many bytes of text each."""
    return Attachment(
        media_type=PDF,
        title=title,
        data=base64.b64encode(data).decode("ascii"),
        pages=len(texts),
        most_tokens=most_tokens(texts, sight),
        likely_tokens=likely_tokens(texts, sight),
    )


def most_tokens(texts: Sequence[int], sight: Sight) -> int:
    """What pages with so many bytes of text may be billed as."""
    count = len(texts)
    return count * sight.image_tokens + max(sum(texts), count * sight.page_text_tokens)


def likely_tokens(texts: Sequence[int], sight: Sight) -> int:
    """What they are likely billed as."""
    return len(texts) * sight.page_image_tokens + sum(texts) // _BYTES_PER_TOKEN


def text_sizes(found: pypdfium2.PdfDocument, start: int, end: int) -> Iterator[int]:
    """Bytes of text on each of the pages; none on one that is damaged."""
    for number in range(start, end):
        try:
            with closing(found[number]) as page, closing(page.get_textpage()) as text:
                yield len(text.get_text_range(errors="ignore").encode())
        except pypdfium2.PdfiumError:
            yield 0


def left_out(found: pypdfium2.PdfDocument) -> tuple[str, ...]:
    """What of it no model gets to see."""
    files = found.count_attachments()
    return (f"{counted(files, 'embedded file')} left out",) if files > 0 else ()
