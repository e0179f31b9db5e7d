"""PDFs and images: what goes along, and what it counts as."""

import base64
import io
from collections.abc import Callable

import pypdfium2
import pytest
from PIL import Image

from shared.adapters.converters.process import ConverterProcess
from shared.ports.converter import Converted
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
    parts = converter.split_pdf("long.pdf", data, most_pages=3)
    assert [part.pages for part in parts] == [3, 3, 1]
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
