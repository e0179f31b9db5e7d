"""What was converted once in a run isn't converted again."""

from pathlib import Path

import pytest

from shared.adapters.converters.remembered import RememberingConverter
from shared.domain.attachment import Attachment
from shared.domain.kinds import Kind
from shared.domain.page_ranges import Paged, PageRange, Room
from shared.ports.converter import Converted, Unconvertible


class Counting:
    """Counts what it is asked; a file named `bad` can't be converted, nor `slow` this time."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def convert(self, name: str, data: bytes, kind: Kind, *, most_pages: int) -> Converted:
        self.asked.append(name)
        if name in ("bad", "slow"):
            raise Unconvertible("broken_document", "it is bad", retryable=name == "slow")
        image = Attachment(
            media_type="image/png", title=name, data="eA==", most_tokens=4, likely_tokens=4
        )
        return Converted(text=f"{name} {data!r} {kind} {most_pages}", attachments=(image,))

    def page_ranges(self, name: str, data: bytes, room: Room) -> Paged:
        self.asked.append(name)
        if name == "bad":
            raise Unconvertible("request_too_large", "it is bad")
        one = PageRange(start=0, end=room.pages, bytes=len(data), most_tokens=9, likely_tokens=3)
        return Paged(ranges=(one,))

    def cut_pdf(self, name: str, data: bytes, *, start: int, end: int) -> Attachment:
        self.asked.append(name)
        raise AssertionError("no part is cut here")


def test_the_same_file_is_converted_once_and_any_other_anew(tmp_path: Path) -> None:
    inner = Counting()
    kept = RememberingConverter(inner, tmp_path)
    questions = [
        ("a", b"1", Kind.PDF, 100),
        ("b", b"1", Kind.PDF, 100),
        ("a", b"2", Kind.PDF, 100),
        ("a", b"1", Kind.HTML, 100),
        ("a", b"1", Kind.PDF, 600),
    ]
    first = [kept.convert(name, data, kind, most_pages=m) for name, data, kind, m in questions]
    assert len(set(first)) == len(inner.asked) == 5
    again = [kept.convert(name, data, kind, most_pages=m) for name, data, kind, m in questions]
    assert again == first
    assert len(inner.asked) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_remembered_also_one_that_another_run_may_not_meet(tmp_path: Path) -> None:
    inner = Counting()
    kept = RememberingConverter(inner, tmp_path)
    for name in ("bad", "bad", "slow", "slow"):
        with pytest.raises(Unconvertible) as caught:
            kept.convert(name, b"", Kind.PDF, most_pages=1)
        assert caught.value.message == "it is bad"
        assert caught.value.retryable == (name == "slow")
    assert inner.asked == ["bad", "slow"]
    with pytest.raises(Unconvertible):
        RememberingConverter(inner, tmp_path).convert("slow", b"", Kind.PDF, most_pages=1)
    assert inner.asked == ["bad", "slow", "slow"]


def test_the_same_pdf_is_looked_through_once_for_the_same_room(tmp_path: Path) -> None:
    inner = Counting()
    kept = RememberingConverter(inner, tmp_path)
    rooms = [Room(pages=pages, tokens=9, bytes=9) for pages in (1, 2, 1, 2)]
    found = [kept.page_ranges("a", b"1", room).pages for room in rooms]
    assert found == [1, 2, 1, 2]
    for _ in range(2):
        with pytest.raises(Unconvertible):
            kept.page_ranges("bad", b"1", rooms[0])
    assert inner.asked == ["a", "a", "bad"]


def test_what_finds_no_room_is_converted_again(tmp_path: Path) -> None:
    for kept in (
        RememberingConverter(inner := Counting(), tmp_path, most_bytes=10),
        RememberingConverter(inner, tmp_path / "gone"),
    ):
        inner.asked.clear()
        answers = [kept.convert("a", b"1", Kind.PDF, most_pages=1) for _ in range(2)]
        assert answers[0] == answers[1]
        assert inner.asked == ["a", "a"]
