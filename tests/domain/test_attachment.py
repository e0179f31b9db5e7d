"""What goes beside a prompt: its block, how much a request takes, what it may be billed as."""

import pytest

from shared.domain.attachment import Attachment, billed_at_most, excess, most_pages

SMALL, LARGE = 200_000, 1_000_000


def pdf(pages: int) -> Attachment:
    return Attachment(
        media_type="application/pdf",
        title="a.pdf",
        data="JVBE",
        pages=pages,
        most_tokens=7_784 * pages,
        likely_tokens=2_000 * pages,
    )


def image(edge: int = 100) -> Attachment:
    return Attachment(
        media_type="image/png",
        title="a.png",
        data="eA==",
        edge_px=edge,
        most_tokens=16,
        likely_tokens=16,
    )


def test_blocks_are_what_the_api_takes() -> None:
    assert pdf(1).block() == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        "title": "a.pdf",
    }
    assert image().block() == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "eA=="},
    }


@pytest.mark.parametrize(
    ("attachments", "context", "type_"),
    [
        ([], SMALL, None),
        ([pdf(100)], SMALL, None),
        ([pdf(60), pdf(41)], SMALL, "too_many_pages"),
        ([pdf(600)], LARGE, None),
        ([pdf(601)], LARGE, "too_many_pages"),
        ([image()] * 100, SMALL, None),
        ([image()] * 101, SMALL, "too_many_images"),
        ([image()] * 601, LARGE, "too_many_images"),
        ([image(2_576)] * 20, LARGE, None),
        ([image(2_001), *[image()] * 20], LARGE, "images_too_large"),
        ([image(2_000)] * 21, LARGE, None),
    ],
)
def test_a_request_takes_so_many_and_no_more(
    attachments: list[Attachment], context: int, type_: str | None
) -> None:
    found = excess(attachments, context)
    assert (found and found[0]) == type_
    assert found is None or "\n" not in found[1]


def test_base64_counts_by_what_it_holds_and_text_by_its_bytes() -> None:
    both = [pdf(2), image()]
    assert billed_at_most(both, encoded=1_008, context_tokens=LARGE) == 1_000 + 2 * 7_784 + 16
    assert billed_at_most([pdf(600)], encoded=1_004, context_tokens=LARGE) == 1_000 + LARGE


def test_a_small_context_takes_fewer_pages() -> None:
    assert (most_pages(SMALL), most_pages(LARGE)) == (100, 600)
