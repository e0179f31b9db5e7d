"""What a file is, told by its content first and by its name's suffix second.

Only what isn't plain text has a kind: a file without one is read as text, as ever.
"""

import re
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What is converted. A ZIP may hold an Office document, a book, or neither."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"
    ZIP = "zip"
    LOCKED_OFFICE = "locked_office"
    HTML = "html"
    MAIL = "mail"
    NOTEBOOK = "notebook"


IMAGES: Final = frozenset({Kind.PNG, Kind.JPEG, Kind.GIF, Kind.WEBP})

_MEGABYTE: Final = 1_000_000
_MOST_BYTES: Final = {
    **dict.fromkeys(("pdf",), 64 * _MEGABYTE),
    **dict.fromkeys(("png", "jpg", "jpeg", "jpe", "gif", "webp"), 64 * _MEGABYTE),
    **dict.fromkeys(("docx", "docm", "dotx", "pptx", "pptm", "ppsx"), 100 * _MEGABYTE),
    **dict.fromkeys(("xlsx", "xlsm", "epub", "eml"), 64 * _MEGABYTE),
    **dict.fromkeys(("html", "htm", "xhtml", "xht", "ipynb"), 32 * _MEGABYTE),
}
"""By suffix, how large a file is read and converted. Most of a large Word document or slide show is
pictures, which are left out; a PDF goes as it is, below what a request may have."""

CONVERTIBLE: Final = frozenset(_MOST_BYTES)

_MAGICS: Final = {
    b"%PDF-": Kind.PDF,
    b"\x89PNG\r\n\x1a\n": Kind.PNG,
    b"\xff\xd8\xff": Kind.JPEG,
    b"GIF87a": Kind.GIF,
    b"GIF89a": Kind.GIF,
    b"PK\x03\x04": Kind.ZIP,
    b"PK\x05\x06": Kind.ZIP,
}
_BEGINNINGS: Final = (*_MAGICS, b"RIFF", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_LOCKED: Final = "EncryptedPackage".encode("utf-16-le")
"""The part of an old Office container that holds a new document under a password."""

_PDF_WITHIN: Final = 1024  # of the first bytes, as other readers take it too
_HTML_SUFFIXES: Final = frozenset({"html", "htm", "xhtml", "xht"})
_MAYBE_HTML: Final = frozenset({"", "txt", "doc", "docx", "xls", "xlsx", "pdf"})
"""Suffixes under which web pages are kept too, as exports to Word and Excel are. Sources that
begin like a page (`.vue`, `.php`, `.md`) stay as they are."""

_HTML_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)?"
    rb"<(?:!doctype html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf|>?From [^\r\n]{0,500}\r?\n|\s)*[!-9;-~]{2,76}:[^\r\n]*\r?\n"
)
_NOTEBOOK_BEGINS: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")


def suffix_of(name: str) -> str:
    """What follows the last dot of a name, in lower case; nothing where there is none."""
    _, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if dot else ""


def kind_of(name: str, data: bytes) -> Kind | None:
    """What has to be converted; None for what is read as text."""
    if data.startswith(_BEGINNINGS):
        found = _by_magic(data)
        if found is not None:
            return found
    suffix = suffix_of(name)
    if suffix not in CONVERTIBLE and suffix not in _MAYBE_HTML:
        return None
    if suffix == "pdf" and b"%PDF-" in data[:_PDF_WITHIN]:
        return Kind.PDF
    if suffix in _HTML_SUFFIXES or (suffix in _MAYBE_HTML and _HTML_BEGINS.match(data)):
        return Kind.HTML if data.strip() else None
    if suffix == "eml" and _MAIL_BEGINS.match(data):
        return Kind.MAIL
    if suffix == "ipynb" and _NOTEBOOK_BEGINS.match(data):
        return Kind.NOTEBOOK
    return None


def is_converted(name: str) -> bool:
    """Whether a file of this name is likely no plain text, and takes longer to read."""
    return suffix_of(name) in CONVERTIBLE


def most_bytes(name: str) -> int:
    """How large a file of this name may be to be read and converted; 0 where it is text."""
    return _MOST_BYTES.get(suffix_of(name), 0)


def _by_magic(data: bytes) -> Kind | None:
    for magic, kind in _MAGICS.items():
        if data.startswith(magic):
            # A text may begin with these letters as well.
            return None if kind is Kind.GIF and b"\0" not in data[:1024] else kind
    if data.startswith(b"RIFF"):
        return Kind.WEBP if data[8:15] == b"WEBPVP8" else None
    return Kind.LOCKED_OFFICE if _LOCKED in data else None
