"""Files that are broken, locked, or made to harm: each is a failure with its cause, and the next
one is converted."""

import io
import os
import signal
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.converters.process import ConverterProcess
from shared.domain.kinds import Kind, kind_of
from shared.ports.converter import Converted, Unconvertible
from tests.adapters.converters import files

Convert = Callable[[str, bytes], Converted]
Refused = Callable[[str, bytes], str]


def plain() -> bytes:
    return files.word(lambda document: document.add_paragraph("fine"))


def zeros(member: str, size: int, package: bytes) -> bytes:
    """The package with a member of zeros, which take a thousandth of their size."""
    out = io.BytesIO(package)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as bomb, bomb.open(member, "w") as file:
        for _ in range(size // 1_000_000):
            file.write(bytes(1_000_000))
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is that large, and is some hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def far_apart(book: Any) -> None:
    """Seventeen thousand million cells, of which two have a value."""
    book.active.cell(1, 1, "near")
    book.active.cell(1_048_576, 16_384, "far")


def entities(part: str, package: bytes) -> bytes:
    return files.changed(package, {part: lambda xml: files.LAUGHS.encode() + xml[55:]})


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "locked.pdf": (lambda: files.locked_pdf("secret"), "encrypted"),
    "locked-rc4.pdf": (lambda: files.locked_pdf("secret", algorithm="RC4-128"), "encrypted"),
    "broken.pdf": (lambda: b"%PDF-1.7\nnothing of a PDF", "broken_document"),
    "cut.pdf": (lambda: files.pdf("x")[:150], "broken_document"),
    "pageless.pdf": (files.pdf, "broken_document"),
    "long.pdf": (lambda: files.pdf(*(["x"] * 101)), "too_many_pages"),
    "longest.pdf": (lambda: files.pdf(*(["x"] * 10_000)), "too_many_pages"),
    "broken.docx": (lambda: plain()[:2000], "broken_document"),
    "bomb.docx": (
        lambda: zeros("word/media/bomb.bin", 500_000_000, plain()),
        "unpacks_too_large",
    ),
    "bomb.xlsx": (
        lambda: zeros("xl/bomb.xml", 200_000_000, files.workbook(lambda book: None)),
        "unpacks_too_large",
    ),
    "crowd.docx": (
        lambda: files.archive({f"word/{n}": b"" for n in range(20_001)}),
        "unpacks_too_large",
    ),
    "laughs.docx": (lambda: entities("word/document.xml", plain()), "broken_document"),
    "laughs.pptx": (lambda: entities("ppt/presentation.xml", files.slides()), "broken_document"),
    "laughs.xlsx": (
        lambda: entities("xl/workbook.xml", files.workbook(lambda book: None)),
        "broken_document",
    ),
    "laughs.epub": (
        lambda: files.book(["<p>&j;</p>"], more={"OEBPS/book.opf": files.LAUGHS + "<a>&j;</a>"}),
        "broken_document",
    ),
    "far.xlsx": (
        lambda: files.workbook(far_apart),
        "converter_out_of_memory",
    ),
    "locked.epub": (
        lambda: files.book(
            ["<p>x</p>"],
            more={
                "META-INF/encryption.xml": '<e><EncryptionMethod Algorithm="http://www.w3.org/'
                '2001/04/xmlenc#aes128-cbc"/></e>'
            },
        ),
        "encrypted",
    ),
    "locked.docx": (
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
        "encrypted",
    ),
    "sources.zip": (lambda: files.archive({"a.py": b"1"}), "unsupported_type"),
    "text.odt": (
        lambda: files.archive({"mimetype": "application/vnd.oasis.opendocument.text"}),
        "unsupported_type",
    ),
    "bomb.png": (lambda: png_of(60_000, 60_000), "image_too_large"),
    "cut.png": (lambda: files.image(size=(200, 200))[:90], "broken_document"),
    "few.png": (lambda: png_of(100, 100), "broken_document"),
    "cut.jpg": (lambda: files.image("JPEG", size=(200, 200))[:300], "broken_document"),
    "deep.html": (lambda: b"<html>" + b"<div>" * 100_000 + b"x", "broken_document"),
    "silent.html": (lambda: b"<html><script>1</script></html>", "empty_document"),
    "wrong.ipynb": (lambda: b'{"cells": 3', "broken_document"),
    "deep.ipynb": (lambda: b'{"a":' * 100_000, "broken_document"),
    "silent.eml": (lambda: b"X-Nothing: 1\r\n\r\n", "empty_document"),
    "bare.docx": (lambda: files.word(lambda document: None), "empty_document"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_is_refused_with_its_cause_and_the_next_is_converted(
    name: str, refused: Refused, convert: Convert
) -> None:
    make, type_ = HOSTILE[name]
    assert refused(name, make()) == type_
    assert convert("fine.docx", plain()).text == "fine\n"


def test_a_mail_that_nests_its_parts_without_end_is_refused_or_read(convert: Convert) -> None:
    head = "".join(
        f'Content-Type: multipart/mixed; boundary="{n}"\r\n\r\n--{n}\r\n' for n in range(3_000)
    )
    with suppress(Unconvertible):
        convert(
            "nest.eml", f"From: a@b.example\r\n{head}Content-Type: text/plain\r\n\r\nx".encode()
        )
    assert convert("fine.docx", plain()).text == "fine\n"


@pytest.fixture
def strict() -> Iterator[ConverterProcess]:
    found = ConverterProcess(catalog().sight, memory_bytes=300 << 20, patience_s=120.0)
    yield found
    found.close()


def asked(converter: ConverterProcess, name: str, data: bytes) -> Converted:
    kind = kind_of(name, data)
    assert kind is not None
    return converter.convert(name, data, kind, most_pages=100)


def test_who_outlives_its_time_is_ended_and_the_next_is_converted(strict: ConverterProcess) -> None:
    page = b"<html>" + b"<table><tr><td>x</td></tr></table>" * 100_000
    patience, strict._patience = strict._patience, 0.5
    with pytest.raises(Unconvertible) as caught:
        asked(strict, "slow.html", page)
    strict._patience = patience
    assert (caught.value.type, caught.value.retryable) == ("converter_timeout", True)
    assert asked(strict, "fine.docx", plain()).text == "fine\n"


def test_who_outlives_its_memory_is_ended_and_the_next_is_converted(
    strict: ConverterProcess,
) -> None:
    with pytest.raises(Unconvertible) as caught:
        asked(strict, "large.png", files.image(size=(9_000, 9_000)))
    assert caught.value.type == "converter_out_of_memory"
    assert asked(strict, "fine.docx", plain()).text == "fine\n"


def test_a_child_that_was_ended_between_two_documents_costs_none(strict: ConverterProcess) -> None:
    asked(strict, "fine.docx", plain())
    child = strict._child.process
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait(30)
    assert asked(strict, "fine.docx", plain()).text == "fine\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_child_that_is_told_to_end_with_all_others_waits_for_its_parent(
    strict: ConverterProcess, name: str
) -> None:
    asked(strict, "fine.docx", plain())
    child = strict._child.process
    assert child is not None
    os.kill(child.pid, getattr(signal, name))
    assert asked(strict, "fine.docx", plain()).text == "fine\n"
    assert strict._child.process is child


def test_the_child_knows_no_secret_writes_no_file_and_goes_with_its_parent(
    strict: ConverterProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    asked(strict, "fine.docx", plain())
    child = strict._child.process
    assert child is not None
    with open(f"/proc/{child.pid}/environ", "rb") as environment:  # noqa: PTH123
        assert b"canary" not in environment.read()
    with open(f"/proc/{child.pid}/limits", encoding="ascii") as limits:  # noqa: PTH123
        [size] = [line.split() for line in limits if line.startswith("Max file size")]
    assert size[3:5] == ["0", "0"]
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(30) == 0


def test_nothing_is_started_or_imported_before_it_is_needed() -> None:
    found = ConverterProcess(catalog().sight)
    assert found._child.process is None
    assert kind_of("a.md", b"text") is None


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("a.md", b"GIF89a is a format"),
        ("a.md", b"RIFF...."),
        ("a.md", b"RIFF....WEBP is a format"),
        ("a.txt", b"From: me\n\nx"),
        ("a.eml", b"x"),
    ],
)
def test_text_that_begins_like_a_file_stays_text(name: str, begins: bytes) -> None:
    assert kind_of(name, begins) is None


def test_a_pdf_behind_some_junk_and_under_any_name_is_a_pdf() -> None:
    assert kind_of("a.pdf", b"\r\njunk\n" + files.pdf("x")) is Kind.PDF
    assert kind_of("a.txt", files.pdf("x")) is Kind.PDF


def test_losses_are_few_and_short(convert: Convert) -> None:
    wide = files.image(size=(2_600, 10))
    attached = {f"{'n' * 150}{n}_png": ("image/png", wide) for n in range(25)}
    found = convert("m.eml", files.mail("x", **attached).as_bytes())
    assert len(found.attachments) == 20
    assert len(found.losses) == 20
    assert found.losses[-1] == "and 2 more"
    assert all(len(loss) <= 200 for loss in found.losses)
