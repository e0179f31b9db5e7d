"""Document and image blocks: what they count as, and what is wrong with them."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from shared.adapters.simulator.params_rules import fault_of
from shared.adapters.simulator.prompt import read_prompt
from tests.adapters.converters import files

MODEL = "claude-opus-4-6"
SMALL = "claude-sonnet-4-5"


def block(kind: str, media_type: str, data: bytes | str) -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": text}}


def pdf(data: bytes | str) -> dict[str, Any]:
    return block("document", "application/pdf", data)


def png(data: bytes | str) -> dict[str, Any]:
    return block("image", "image/png", data)


def asked(*blocks: dict[str, Any], model: str = MODEL) -> dict[str, Any]:
    content = [*blocks, {"type": "text", "text": "Read it"}]
    return {
        "model": model,
        "max_tokens": 10,
        "messages": [{"role": "user", "content": content}],
    }


def fault(params: dict[str, Any]) -> str | None:
    found = fault_of(params, version="2026-10-21", betas=())
    assert found is None or found[0] == "invalid_request_error"
    return None if found is None else found[1]


def test_a_pdf_counts_by_its_pages_and_their_text() -> None:
    one, three = (read_prompt(asked(pdf(files.pdf(*["word " * 80] * n)))).tokens for n in (1, 3))
    assert one - 1_600 == pytest.approx(100, abs=10)
    assert three - one == pytest.approx(2 * 1_700, abs=20)


def test_an_image_counts_by_its_pixels_up_to_what_a_model_sees() -> None:
    bare = read_prompt(asked()).tokens
    assert read_prompt(asked(png(files.image(size=(280, 281))))).tokens == pytest.approx(
        bare + 10 * 11, abs=1
    )
    assert read_prompt(asked(png(files.image(size=(7_000, 7_000))))).tokens == pytest.approx(
        bare + 4_784, abs=1
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pdf("***"), "Invalid base64 data"),
        (lambda: pdf(b"no PDF"), "The PDF specified was not valid."),
        (lambda: pdf(files.locked_pdf("x")), "The PDF specified is password protected."),
        (lambda: png(b"no image"), "Could not process image"),
        (lambda: png(files.image("GIF", mode="P")), "appears to be a image/gif image"),
        (lambda: png(files.image(size=(8_001, 10))), "image dimensions exceed max: 8000 pixels"),
        (lambda: block("image", "image/tiff", b"x"), "media_type: Input should be 'image/png'"),
        (lambda: block("document", "text/x", b"x"), "Input should be 'application/pdf'"),
        (lambda: {"type": "image"}, "image.source: Field required"),
        (lambda: png(""), "data: Field required"),
        (lambda: pdf(files.pdf(*["x"] * 601)), "A maximum of 600 PDF pages may be provided."),
    ],
)
def test_what_the_api_refuses_is_an_errored_row(
    make: Callable[[], dict[str, Any]], message: str
) -> None:
    assert message in (fault(asked(make())) or "")


def test_what_is_right_is_answered() -> None:
    good = (pdf(files.pdf("x")), png(files.image()))
    assert fault(asked(*good)) is None


def test_many_images_are_to_be_smaller() -> None:
    large, small = png(files.image(size=(2_001, 10))), png(files.image())
    assert fault(asked(large, *[small] * 19)) is None
    assert "many-image requests" in (fault(asked(large, *[small] * 20)) or "")


def test_a_model_with_a_smaller_context_takes_fewer_pages() -> None:
    pages = pdf(files.pdf(*["x"] * 101))
    assert fault(asked(pages)) is None
    assert fault(asked(pages, model=SMALL)) == "A maximum of 100 PDF pages may be provided."
    most = [pdf(files.pdf(*["x"] * 50))] * 2
    assert fault(asked(*most, model=SMALL)) is None


def test_pages_can_exceed_the_context() -> None:
    dense = pdf(files.pdf(*["word " * 1_000] * 90))
    assert "prompt is too long" in (fault(asked(dense, model=SMALL)) or "")
