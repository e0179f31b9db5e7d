"""Names from outside: kept exactly, or refused with a line that can be printed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import (
    MAX_JOB_BYTES,
    MAX_PATH_BYTES,
    InvalidName,
    check_job,
    check_path,
    escaped,
    report_path,
    slug,
    stand_in,
)

ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "legal/contracts/2024/nda (final, v2).pdf",
        "Notes d'été/crème brûlée.txt",
        "文档/说明书.md",
        'it\'s "quoted" & <odd>.md',
        "emoji 🎉/👩‍💻.md",
        "..hidden/...dots",
        "a" * 200,
        ".docmill",
        ".docmill.md/x",
        "summary.json",
        "failures.jsonl",
        "deep/.docmill/x",
        "deep/summary.json/x",
        "-rf",
        "C:",
        "%2e%2e/x",
        "שלום\u200f.md",
    ],
)
def test_ordinary_and_unusual_names_are_kept(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("..", '".."'),
        (".", '"."'),
        ("a/../b", '".."'),
        ("a/./b", '"."'),
        ("a//b", "empty segment"),
        ("a/", "empty segment"),
        ("..\\windows", "backslash"),
        ("a\nb", "U+000A"),
        ("a\x00b", "U+0000"),
        ("a\x7fb", "U+007F"),
        ("a\x85b", "U+0085"),
        ("a\u2028b", "U+2028"),
        ("\x1b[31mred", "U+001B"),
        ("gpj\u202e.exe", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("caf\udce9", "U+DCE9"),
        ("a" * 201, "200 bytes"),
        ("é" * 101, "200 bytes"),
        ("/".join(["abcdefghi"] * 91), "909 bytes"),
        (".docmill/state.db", ".docmill"),
        (".DOCMILL/state.db", ".docmill"),
        ("summary.json/x", "summary.json"),
        ("failures.jsonl/x/y", "failures.jsonl"),
        ("Results.CSV/x", "results.csv"),
    ],
)
def test_a_name_that_may_not_become_a_path_is_refused_with_its_reason(path: str, why: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_path(path)
    assert why in caught.value.message
    assert str(caught.value) == caught.value.message
    assert len(caught.value.message) < 1000


@given(ANY_TEXT)
def test_every_text_is_kept_or_refused_in_one_printable_line(path: str) -> None:
    try:
        check_path(path)
    except InvalidName as error:
        message = error.message
        assert len(message.splitlines()) == 1
        assert message == escaped(message)
        message.encode()
    else:
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert len(report_path(path).encode()) <= 903


@given(st.lists(st.text(min_size=1), unique=True))
def test_different_documents_never_share_a_report(paths: list[str]) -> None:
    assert len({report_path(path) for path in paths}) == len(paths)


def test_a_report_keeps_the_whole_name() -> None:
    assert report_path("legal/nda.pdf") == "legal/nda.pdf.md"
    assert report_path("README.md") == "README.md.md"


@pytest.mark.parametrize(
    ("name", "limit", "expected"),
    [
        ("README.md", 40, "README-md"),
        ("legal/nda (final).pdf", 40, "legal-nda-final-pdf"),
        ("Crème brûlée à la carte", 40, "Creme-brulee-a-la-carte"),
        ("Straße nach Łódź", 40, "Strasse-nach-Lodz"),
        ("ﬁle № 5", 40, "file-No-5"),
        ("snake_case__name", 40, "snake_case__name"),
        ("文档", 40, "doc"),
        ("文档 2", 40, "2"),
        ("", 40, "doc"),
        ("---", 40, "doc"),
        ("ab cd", 3, "ab"),
        ("文", 2, "do"),
        ("\udce9t\u0301", 9, "t"),
    ],
)
def test_a_slug_recalls_its_name(name: str, limit: int, expected: str) -> None:
    assert slug(name, limit) == expected


def test_a_slug_without_room_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        slug("x", 0)


@given(ANY_TEXT, st.integers(1, 64))
def test_every_slug_is_a_valid_part_of_a_custom_id(name: str, limit: int) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", slug(name, limit))
    assert len(slug(name, limit)) <= limit


def test_what_steers_a_terminal_is_escaped_and_all_else_is_kept() -> None:
    assert escaped("a\x1b[2J\r\nb\u202ec\udcff\x9b") == "a\\x1b[2J\\r\\nb\\u202ec\\udcff\\x9b"
    assert escaped("it's 文档 🎉 \\ é") == "it's 文档 🎉 \\ é"


@given(ANY_TEXT)
def test_escaped_text_is_one_line_that_can_be_encoded(text: str) -> None:
    once = escaped(text)
    assert len(once.splitlines()) <= 1
    once.encode()
    assert escaped(once) == once


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        (".", '"."'),
        ("..", '".."'),
        ("a\\b", "backslash"),
        ("a\x00", "U+0000"),
        ("a\x1b[2J", "U+001B"),
        ("\u202ejob", "U+202E"),
        ("\udcff", "U+DCFF"),
        ("j" * 119, "118 bytes"),
        ("é" * 60, "118 bytes"),
    ],
)
def test_a_job_whose_name_can_not_be_a_folder_of_the_output_is_refused(name: str, why: str) -> None:
    with pytest.raises(InvalidName, match=re.escape(why)):
        check_job(name)


@pytest.mark.parametrize("name", ["legal", "project analysis", "Verträge", "文档", "j" * 118, "_x"])
def test_ordinary_jobs_are_kept(name: str) -> None:
    check_job(name)


def test_every_report_of_every_job_has_a_key_that_s3_can_have() -> None:
    job, path = "j" * MAX_JOB_BYTES, "/".join(["p" * 99] * 9)
    check_job(job)
    check_path(path)
    assert len(path) == MAX_PATH_BYTES - 1
    assert len(f"{job}/{report_path(path + 'p')}".encode()) <= 1024


def test_what_stands_in_for_a_name_recalls_it() -> None:
    assert stand_in("a\nb") == "a\\nb"
    assert stand_in("back\\slash.md") == "back\\slash.md"
    assert stand_in("a\\nb") != stand_in("a\nb")
    assert stand_in("a" * 5000).startswith("a" * 800)


@given(st.lists(ANY_TEXT | ANY_TEXT.map(lambda text: text * 300), unique=True, max_size=6))
def test_different_names_have_different_bounded_stand_ins(names: list[str]) -> None:
    shown = [stand_in(name) for name in names]
    assert len(set(shown)) == len(names)
    for text in shown:
        assert len(text.encode()) <= MAX_PATH_BYTES
        assert text == escaped(text)
