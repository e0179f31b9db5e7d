"""The text of a document: every byte of it read rightly, or a reason why it is not read."""

import codecs
import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.text import Text, Unreadable, decode, too_large

TYPES = {"empty_document", "unsupported_type", "unknown_encoding"}
VISIBLE_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\x1b"), min_size=1).map(
    lambda text: "visible " + text
)


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(Unreadable) as caught:
        decode(data)
    assert len(caught.value.message.splitlines()) == 1
    assert str(caught.value) == caught.value.message
    return caught.value.type, caught.value.message


def zipped(*names: str, first: str = "") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if first:
            archive.writestr("mimetype", first)
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


@given(VISIBLE_TEXT)
def test_utf8_comes_back_as_it_is(text: str) -> None:
    assert decode(text.encode()) == Text(text=text, encoding="utf-8")


@given(
    VISIBLE_TEXT,
    st.sampled_from(
        [
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (codecs.BOM_UTF32_LE, "utf-32-le"),
            (codecs.BOM_UTF32_BE, "utf-32-be"),
        ]
    ),
)
def test_a_byte_order_mark_is_believed_and_taken_off(text: str, mark: tuple[bytes, str]) -> None:
    assert decode(mark[0] + text.encode(mark[1])) == Text(text=text, encoding=mark[1])


def test_line_ends_and_blanks_are_kept() -> None:
    assert decode(b"\r\n  a\r\nb\rc\n\n").text == "\r\n  a\r\nb\rc\n\n"
    assert decode(codecs.BOM_UTF8 * 2 + b"a").text == "\ufeffa"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_read_when_it_is_certain(encoding: str) -> None:
    text = "# Résumé — 文档\r\nPlain words, and some others.\r\n"
    assert decode(text.encode(encoding)) == Text(text=text, encoding=encoding)


@pytest.mark.parametrize(
    "data",
    [b"", b" \r\n\t ", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, "\ufeff \u200b\u3000".encode()],
)
def test_nothing_to_see_is_an_empty_document(data: bytes) -> None:
    assert refused(data)[0] == "empty_document"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\nplain ascii", "a PDF"),
        (b"{\\rtf1\\ansi hello}", "an RTF document"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        (b"GIF89a\x01\0\x01\0\x80", "a GIF image"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a WEBP image"),
        (b"BM\x36\0\0\0\xff", "a BMP image"),
        (b"\0\0\0\x18ftypmp42\0\0", "an MP4 video or HEIC image"),
        (gzip.compress(b"x", mtime=0), "a gzip archive"),
        (zipped("a.txt"), "a ZIP archive"),
        (zipped("[Content_Types].xml", "word/document.xml"), "a Word document (docx)"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (xlsx)"),
        (zipped("[Content_Types].xml", "ppt/x.xml"), "a PowerPoint presentation (pptx)"),
        (zipped("x.opf", first="application/epub+zip"), "an EPUB book"),
        (zipped("x", first="application/vnd.oasis.opendocument.text"), "an OpenDocument file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old Microsoft Office document"),
        (b"\x7fELF\x02\x01\x01\0", "an ELF program"),
        (b"MZ\x90\0\x03\0", "a Windows program"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "a Java class"),
        (b"SQLite format 3\0\x10\0", "an SQLite database"),
        (b"x" * 257 + b"ustar\0" + b"00", "a tar archive"),
        (b"text with a \0 in it", "binary data"),
        (b"\0\x01\x02\x03\xff\xfe\xfd\0", "binary data"),
        (codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"), "binary data"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, kind: str) -> None:
    do = "save it as text, PDF, PNG, docx, xlsx or pptx"
    if kind.endswith("archive"):
        do = "unpack it"
    why = f"it is {kind}, which docmill can't read; {do}"
    assert refused(data) == ("unsupported_type", why)


@pytest.mark.parametrize(
    "text",
    ["GIF89a is a format", "BMW drives", "MZ is a magic number", "ID3 tags", "RIFF raff", "PK"],
)
def test_words_that_begin_like_a_file_format_are_text(text: str) -> None:
    assert decode(text.encode()).text == text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("Zażółć gęślą jaźń".encode() + b" \xff and more", "byte 27 breaks it"),
        ("Ein größeres Übel, abgeschnitten: ü".encode()[:-1], "byte 37 breaks it"),
        (codecs.BOM_UTF8 + b"caf\xe9", "mark says UTF-8, but byte 6 breaks"),
        (codecs.BOM_UTF16_LE + b"a\0b", "mark says UTF-16, but byte 4 breaks"),
    ],
)
def test_damaged_unicode_is_not_read_as_something_else(data: bytes, why: str) -> None:
    fault, message = refused(data)
    assert fault == "unknown_encoding"
    assert why in message
    assert "UTF-8" in message


@given(st.binary(max_size=300) | st.binary(max_size=40).map(lambda data: b"plain text " + data))
def test_any_bytes_are_read_back_exactly_or_refused_with_a_named_reason(data: bytes) -> None:
    try:
        found = decode(data)
    except Unreadable as error:
        fault, message = error.type, error.message
        assert fault in TYPES
        assert len(message.splitlines()) == 1
    else:
        assert data.decode(found.encoding).endswith(found.text)


def test_fifty_megabytes_of_garbage_are_refused() -> None:
    block = bytes((n * n * 31 + n // 7) % 255 + 1 for n in range(50_000))
    assert refused(block * 1000)[0] in {"unknown_encoding", "unsupported_type"}


def test_only_what_certainly_exceeds_the_context_is_too_large() -> None:
    assert too_large(1_000_000, 200_000) is None
    assert too_large(1_000_004, 200_000) is None
    reason = too_large(1_000_005, 200_000)
    assert reason is not None
    assert reason.type == "document_too_large"
    assert "at least 200,001 tokens" in reason.message
