"""PDFs and images: what goes along, and what it counts as."""

import base64
import io
from collections.abc import Callable

import pypdfium2
import pytest
from msgspec.structs import replace
from PIL import Image

from shared.adapters.converters.process import ConverterProcess
from shared.domain.page_ranges import Room
from shared.ports.converter import Converted, Unconvertible
from tests.adapters.converters import files

Convert = Callable[[str, bytes], Converted]


def opened(converted: Converted) -> Image.Image:
    [attachment] = converted.attachments
    image = Image.open(io.BytesIO(base64.b64decode(attachment.data)))
    image.load()
    return image


def test_a_pdf_goes_as_it_is_and_counts_by_page_and_text(convert: Convert) -> None:
    data = files.pdf("Clause 1", "Clause 2", "Clause 3")
    found = convert("a contract.pdf", data)
    [attachment] = found.attachments
    assert base64.b64decode(attachment.data) == data
    assert attachment.block()["title"] == "a contract.pdf"
    assert attachment.pages == 3
    assert attachment.most_tokens == 3 * (4_784 + 3_000)
    assert attachment.likely_tokens == 3 * 1_600 + 24 // 3
    assert found.text == 'The document "a contract.pdf" (PDF, 3 pages) is attached to this message.'
    assert found.losses == ()


def test_a_page_with_more_text_than_is_usual_counts_with_all_of_it(convert: Convert) -> None:
    [attachment] = convert("dense.pdf", files.pdf("word " * 2_000)).attachments
    assert attachment.most_tokens >= 4_784 + 9_999


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_pdf_that_opens_without_a_password_goes_without_its_lock(
    convert: Convert, algorithm: str
) -> None:
    found = convert("locked.pdf", files.locked_pdf("", algorithm=algorithm))
    [attachment] = found.attachments
    data = base64.b64decode(attachment.data)
    assert b"/Encrypt" not in data
    document = pypdfium2.PdfDocument(data)
    assert "Locked page" in document[0].get_textpage().get_text_bounded()
    document.close()


def test_a_pdf_is_cut_by_pages_in_order(converter: ConverterProcess) -> None:
    data = files.pdf(*(f"Page {n}" for n in range(1, 8)))
    found = converter.page_ranges("long.pdf", data, Room(pages=3, tokens=99_999, bytes=99_999))
    assert [(each.start, each.end) for each in found.ranges] == [(0, 3), (3, 6), (6, 7)]
    parts = [
        converter.cut_pdf("long.pdf", data, start=each.start, end=each.end) for each in found.ranges
    ]
    for part, told in zip(parts, found.ranges, strict=True):
        assert part.pages == told.end - told.start
        assert len(part.data) == told.bytes
        assert (part.most_tokens, part.likely_tokens) == (told.most_tokens, told.likely_tokens)
    again = converter.cut_pdf("long.pdf", data, start=0, end=3)
    assert again == parts[0], "the same pages are the same bytes"
    assert [part.title for part in parts] == [
        "long.pdf, pages 1 to 3 of 7",
        "long.pdf, pages 4 to 6 of 7",
        "long.pdf, pages 7 to 7 of 7",
    ]
    texts = []
    for part in parts:
        document = pypdfium2.PdfDocument(base64.b64decode(part.data))
        texts += [page.get_textpage().get_text_bounded().strip() for page in document]
        document.close()
    assert texts == [f"Page {n}" for n in range(1, 8)]


def test_ranges_leave_room_for_tokens_and_bytes_too(converter: ConverterProcess) -> None:
    data = files.pdf(*("words " * 200 for _ in range(8)))
    wide = Room(pages=600, tokens=10**9, bytes=10**9)
    [whole] = converter.page_ranges("a.pdf", data, wide).ranges
    by_tokens = replace(wide, tokens=whole.most_tokens // 2)
    assert [each.end for each in converter.page_ranges("a.pdf", data, by_tokens).ranges] == [4, 8]
    by_bytes = replace(wide, bytes=whole.bytes // 2)
    found = converter.page_ranges("a.pdf", data, by_bytes)
    assert [each.end for each in found.ranges] == [2, 4, 6, 8]
    assert max(each.bytes for each in found.ranges) <= by_bytes.bytes
    assert found.pages == 8


def test_what_can_not_be_cut_so_that_it_fits_says_why(converter: ConverterProcess) -> None:
    with pytest.raises(Unconvertible) as caught:
        converter.page_ranges("a.pdf", files.pdf("x"), Room(pages=9, tokens=99_999, bytes=400))
    assert caught.value.type == "request_too_large"
    assert "its page 1 by itself is" in caught.value.message
    many = files.pdf(*["x"] * 201)
    with pytest.raises(Unconvertible) as caught:
        converter.page_ranges("a.pdf", many, Room(pages=1, tokens=99_999, bytes=99_999))
    assert caught.value.type == "too_many_pages"
    assert "201 pages and would take more than the 200 parts" in caught.value.message


def test_pages_of_a_locked_pdf_are_cut_without_its_lock(converter: ConverterProcess) -> None:
    part = converter.cut_pdf("locked.pdf", files.locked_pdf(""), start=0, end=1)
    assert b"/Encrypt" not in base64.b64decode(part.data)


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")],
)
def test_an_image_that_fits_goes_as_it_is(convert: Convert, kind: str, type_: str) -> None:
    data = files.image(kind, mode="P" if kind == "GIF" else "RGB")
    found = convert("photo.bin", data)
    [attachment] = found.attachments
    assert base64.b64decode(attachment.data) == data
    assert attachment.media_type == f"image/{type_}"
    assert attachment.most_tokens == 2 * 2
    assert found.text == 'The image "photo.bin" (40 x 30 pixels) is attached to this message.'
    assert found.losses == ()


def test_what_only_begins_like_an_image_is_told_the_same_each_time(convert: Convert) -> None:
    with pytest.raises(Unconvertible) as caught:
        convert("fake.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert caught.value.message == (
        "it begins like a PNG, and isn't one; open it where it was made, and save it anew"
    )


def test_an_image_is_turned_as_its_camera_says(convert: Convert) -> None:
    found = convert("photo.jpg", files.image("JPEG", size=(60, 20), turned=6))
    assert opened(found).size == (20, 60)
    assert opened(found).getexif().get(0x0112, 1) == 1


def test_an_image_larger_than_models_see_is_scaled_and_that_is_said(convert: Convert) -> None:
    found = convert("wide.png", files.image(size=(6_000, 1_000)))
    assert opened(found).size == (2_576, 429)
    assert found.losses == (
        "scaled from 6000 x 1000 to 2576 x 429 pixels, as a model would see it",
    )
    assert found.attachments[0].most_tokens == -(-2_576 * 429 // 750)


def test_an_image_of_many_bytes_is_made_to_fit(convert: Convert) -> None:
    noise = Image.effect_noise((2_000, 2_000), 120).convert("RGBA")
    noise.putalpha(Image.effect_noise((2_000, 2_000), 90))
    out = io.BytesIO()
    noise.save(out, "PNG", compress_level=0)
    assert len(out.getvalue()) > 10_000_000
    [attachment] = convert("noise.png", out.getvalue()).attachments
    assert attachment.media_type == "image/jpeg"
    assert len(attachment.data) <= 10_000_000


def test_an_animation_shows_its_first_picture_and_says_so(convert: Convert) -> None:
    frames = [Image.new("P", (10, 10), n) for n in range(3)]
    for number, frame in enumerate(frames):
        frame.putpalette([80 * number] * 768)
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    found = convert("turning.gif", out.getvalue())
    assert found.attachments[0].media_type == "image/png"
    assert found.losses == ("an animation of 3 pictures: only the first is shown",)
