"""PDFs go as they are; they are opened to count their pages and what may be read on them.

PDFium also opens what is encrypted without a password, which the API refuses, and cuts by pages.
"""

import base64
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from shared.adapters.converters.markdown import counted, one_line
from shared.adapters.converters.packages import broken
from shared.domain.attachment import PDF, Attachment, too_many_pages
from shared.domain.catalog import Sight
from shared.ports.converter import Converted, Unconvertible

_BYTES_PER_TOKEN: Final = 3
"""Of text, cautiously, as elsewhere in estimates."""
_WITHOUT_SECURITY: Final = 3  # FPDF_REMOVE_SECURITY


def document(name: str, data: bytes, sight: Sight, *, most_pages: int) -> Converted:
    """A PDF as one attachment. Raises Unconvertible."""
    with closing(_opened(data)) as found:
        pages = len(found)
        if pages > most_pages:
            raise Unconvertible("too_many_pages", too_many_pages(pages, most_pages))
        if pdfium.FPDF_GetSecurityHandlerRevision(found) != -1:
            data = _saved(found)
        attachment = _attachment(one_line(name), data, found, sight)
        losses = _left_out(found)
    size = counted(pages, "page")
    text = f'The document "{attachment.title}" (PDF, {size}) is attached to this message.'
    return Converted(text=text, attachments=(attachment,), losses=losses)


def split(name: str, data: bytes, sight: Sight, *, most_pages: int) -> tuple[Attachment, ...]:
    """Its pages in order, as PDFs of at most so many, titled by their pages."""
    parts = []
    with closing(_opened(data)) as whole:
        for first in range(0, len(whole), most_pages):
            last = min(first + most_pages, len(whole))
            with closing(pypdfium2.PdfDocument.new()) as part:
                part.import_pages(whole, list(range(first, last)))
                title = f"{one_line(name)}, pages {first + 1} to {last} of {len(whole)}"
                parts.append(_attachment(title, _saved(part), part, sight))
    return tuple(parts)


def _opened(data: bytes) -> pypdfium2.PdfDocument:
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


def _saved(found: pypdfium2.PdfDocument) -> bytes:
    out = io.BytesIO()
    found.save(out, flags=_WITHOUT_SECURITY)
    return out.getvalue()


def _attachment(title: str, data: bytes, found: pypdfium2.PdfDocument, sight: Sight) -> Attachment:
    """A page is billed as its text and as an image. How much text the provider finds isn't known,
    so it counts as what is documented of dense pages where there is less."""
    text, pages = sum(_text_sizes(found)), len(found)
    return Attachment(
        media_type=PDF,
        title=title,
        data=base64.b64encode(data).decode("ascii"),
        pages=pages,
        most_tokens=pages * sight.image_tokens + max(text, pages * sight.page_text_tokens),
        likely_tokens=pages * sight.page_image_tokens + text // _BYTES_PER_TOKEN,
    )


def _text_sizes(found: pypdfium2.PdfDocument) -> Iterator[int]:
    """Bytes of text on each page; none on one that is damaged."""
    for number in range(len(found)):
        try:
            with closing(found[number]) as page, closing(page.get_textpage()) as text:
                yield len(text.get_text_range(errors="ignore").encode())
        except pypdfium2.PdfiumError:
            yield 0


def _left_out(found: pypdfium2.PdfDocument) -> tuple[str, ...]:
    files = found.count_attachments()
    return (f"{counted(files, 'embedded file')} left out",) if files > 0 else ()
