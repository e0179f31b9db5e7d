import msgspec
import pytest

from shared.domain.parts import Part, is_part, pages_named, part_path, whole_of

OLD = {
    "of": "a/b.md",
    "splitting": "5ca1ab1e",
    "level": 0,
    "number": 2,
    "count": 7,
    "start": 200,
    "end": 300,
    "digest": "d",
    "whole_size": 9,
}


def test_a_part_that_was_stored_before_there_were_pages_is_of_text() -> None:
    part = msgspec.convert(OLD, Part)
    assert part.pages == 0
    assert part.place == "3 of 7"


@pytest.mark.parametrize(
    ("level", "place"), [(0, "3 of 7 (pages 201-300)"), (1, "3 of 7")], ids=["pages", "answers"]
)
def test_a_part_of_a_pdf_names_its_pages_and_a_run_of_answers_none(level: int, place: str) -> None:
    assert msgspec.convert({**OLD, "pages": 650, "level": level}, Part).place == place


def test_pages_are_named_as_people_count_them() -> None:
    assert pages_named(0, 1) == "page 1"
    assert pages_named(0, 2) == "pages 1-2"


def test_the_document_is_told_from_the_path_of_a_part() -> None:
    path = part_path("a/b.md", "5ca1ab1e", 0, 2)
    assert is_part(path)
    assert whole_of(path) == "a/b.md"
