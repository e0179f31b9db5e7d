"""The text of a document from its bytes: told reliably, or refused with a reason.

A wrong guess would be paid for and believed, so nothing is guessed and no byte is replaced.
"""

import codecs
import re
from typing import Final

from shared.domain.encodings import declared_encoding, detect, wide_encoding
from shared.domain.record import Record

LEAST_CHARS_PER_TOKEN: Final = 5
"""A heuristic that leans one way: ordinary text has 3 to 4.5 characters a token, so this many
chars/5 tokens are there at the least, and only what certainly exceeds the context is refused."""

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_MARKS: Final = tuple(mark for mark, _, _ in _BOMS)

_ALWAYS_BINARY: Final = {
    b"%PDF-": "a PDF",
    b"{\\rtf": "an RTF document",
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "a ZIP archive",
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "a gzip archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Microsoft Office document",
    b"\x7fELF": "an ELF program",
    b"\xca\xfe\xba\xbe": "a Java class",
    b"\x00asm": "a WebAssembly module",
    b"SQLite format 3\x00": "an SQLite database",
}

_BINARY_UNLESS_TEXT: Final = {
    b"GIF87a": "a GIF image",
    b"GIF89a": "a GIF image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"BM": "a BMP image",
    b"MZ": "a Windows program",
    b"BZh": "a bzip2 archive",
    b"OggS": "an Ogg sound or video",
    b"fLaC": "a FLAC sound",
    b"ID3": "an MP3 sound",
    b"PAR1": "a Parquet table",
}
"""Letters that a text may begin with as well: they count in data that is no clean UTF-8."""

_ZIP_KINDS: Final = (
    (re.compile(rb"mimetypeapplication/epub\+zip"), "an EPUB book"),
    (re.compile(rb"mimetypeapplication/vnd\.oasis\.opendocument"), "an OpenDocument file"),
    (re.compile(rb"word/"), "a Word document (docx)"),
    (re.compile(rb"xl/"), "an Excel workbook (xlsx)"),
    (re.compile(rb"ppt/"), "a PowerPoint presentation (pptx)"),
)
_RIFF_KINDS: Final = {b"WEBP": "a WEBP image", b"WAVE": "a WAV sound", b"AVI ": "an AVI video"}
_LOOKED_AT: Final = 65_536

_VISIBLE: Final = re.compile("[^\\s\ufeff\u200b\u2060]")
_SAVE: Final = "save it as UTF-8"
_KINDS: Final = "save it as text, PDF, PNG, docx, xlsx or pptx"


class Unreadable(Exception):
    """This document has no text here; `type` is a stable word, `message` one line that says what
    is wrong and what to do."""

    def __init__(self, type: str, message: str) -> None:  # noqa: A002 (the word of failures.jsonl)
        super().__init__(message)
        self.type = type
        self.message = message


class Text(Record, frozen=True, kw_only=True):
    """A document's text, unchanged but for the byte order mark, and the codec that gave it."""

    text: str
    encoding: str


def decode(data: bytes) -> Text:
    """The text of `data`; raises `Unreadable`.

    Its types: `empty_document`, `unsupported_type` (binary), `unknown_encoding` (not told
    reliably, or broken).
    """
    found = _marked(data) or _utf8(data) or _wide(data) or _legacy(data)
    if not _VISIBLE.search(found.text):
        raise Unreadable("empty_document", "the document is empty; there is nothing to report on")
    return found


def too_large(text_chars: int, context_tokens: int) -> Unreadable | None:
    """The reason why so long a text certainly exceeds the model's context, or None."""
    least = text_chars // LEAST_CHARS_PER_TOKEN
    if least <= context_tokens:
        return None
    return Unreadable(
        "document_too_large",
        f"the document has {text_chars:,} characters, at least {least:,} tokens, and the model "
        f"takes {context_tokens:,}; split it",
    )


def _marked(data: bytes) -> Text | None:
    if not data.startswith(_MARKS):
        return None
    for mark, encoding, name in _BOMS:
        if not data.startswith(mark):
            continue
        try:
            text = data[len(mark) :].decode(encoding)
        except UnicodeDecodeError as error:
            where = len(mark) + error.start
            why = f"its byte order mark says {name}, but byte {where:,} breaks that; {_SAVE}"
            raise Unreadable("unknown_encoding", why) from error
        if "\0" in text:
            raise _unsupported("binary data")
        return Text(text=text, encoding=encoding)
    return None


def _utf8(data: bytes) -> Text | None:
    kind = _kind(data, _ALWAYS_BINARY)
    if kind is not None:
        raise _unsupported(kind)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    # The single byte first: a search for two takes longer than all the rest of this.
    if b"\x1b" in data and b"\x1b$" in data and (japanese := _mail_japanese(data)) is not None:
        return japanese
    return Text(text=text, encoding="utf-8")


def _mail_japanese(data: bytes) -> Text | None:
    """ISO-2022-JP is written in ASCII bytes; its escape sequences don't occur in other text."""
    try:
        return Text(text=data.decode("iso2022_jp"), encoding="iso2022_jp")
    except UnicodeDecodeError:
        return None


def _wide(data: bytes) -> Text | None:
    if b"\0" not in data:
        return None
    kind = _kind(data, _BINARY_UNLESS_TEXT) or _container(data)
    encoding = None if kind else wide_encoding(data)
    if encoding is None:
        raise _unsupported(kind or "binary data")
    return Text(text=data.decode(encoding), encoding=encoding)


def _legacy(data: bytes) -> Text:
    kind = _kind(data, _BINARY_UNLESS_TEXT) or _container(data)
    if kind is not None:
        raise _unsupported(kind)
    if broken := _broken_utf8(data):
        raise broken
    encoding = declared_encoding(data) or detect(data)
    if encoding is None:
        raise Unreadable(
            "unknown_encoding", f"the encoding of the text can't be told reliably; {_SAVE}"
        )
    return Text(text=data.decode(encoding), encoding=encoding)


def _broken_utf8(data: bytes) -> Unreadable | None:
    """Text that is UTF-8 but for some bytes is damaged; any other reading would be nonsense."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        start = max(error.start - _LOOKED_AT, 0)
        around = data[start : error.start + _LOOKED_AT].decode(errors="replace")
        whole = sum(char > "\x7f" for char in around.replace("\ufffd", ""))
        if whole and whole >= around.count("\ufffd"):
            why = f"the text is UTF-8, but byte {error.start:,} breaks it; {_SAVE} again"
            return Unreadable("unknown_encoding", why)
    return None


def _kind(data: bytes, magics: dict[bytes, str]) -> str | None:
    if not data.startswith(tuple(magics)):
        return None
    magic, kind = next(each for each in magics.items() if data.startswith(each[0]))
    return _zip_kind(data) if magic.startswith(b"PK") else kind


def _zip_kind(data: bytes) -> str:
    # Names of members stand at the front and, for the tools that write it first, at the end.
    ends = data[:_LOOKED_AT] + data[-_LOOKED_AT:]
    return next((kind for seen, kind in _ZIP_KINDS if seen.search(ends)), "a ZIP archive")


def _container(data: bytes) -> str | None:
    if data.startswith(b"RIFF"):
        return _RIFF_KINDS.get(data[8:12])
    if data[4:8] == b"ftyp":
        return "an MP4 video or HEIC image"
    return "a tar archive" if data[257:262] == b"ustar" else None


def _unsupported(kind: str) -> Unreadable:
    do = "unpack it" if kind.endswith(" archive") else _KINDS
    return Unreadable("unsupported_type", f"it is {kind}, which docmill can't read; {do}")
