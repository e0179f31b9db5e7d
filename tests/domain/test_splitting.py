import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.splitting import cuts, size_of

LINES = st.sampled_from(
    [
        "# Title",
        "## Section",
        "### Below",
        "",
        "",
        "A sentence. Another one! And a third?",
        "| a | b |",
        "```",
        "def work() -> None:",
        "    return 1",
        "Chapter 3",
        "1.2 Scope",
        "Überschrift",
        "=====",
        "日本語の文章。次の文。",
        "x" * 90,
        "👩‍👩‍👧‍👦🇩🇪e\u0301",
        "\r",
    ]
)
TEXTS = st.one_of(
    st.lists(LINES, max_size=60).map("\n".join),
    st.text(max_size=400),
    st.text("aä日👍🏽\u0301\u200d\r\n .", max_size=400),
)


def pieces(text: str, limit: int) -> list[str]:
    ends = cuts(text, limit)
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(TEXTS, st.integers(8, 300))
def test_pieces_joined_are_the_text_and_none_is_empty_nor_above_the_limit(
    text: str, limit: int
) -> None:
    found = pieces(text, limit)
    assert "".join(found) == text
    assert all(found) or not text
    assert all(size_of(piece) <= limit for piece in found)


@given(TEXTS, st.integers(8, 300))
def test_the_same_text_gives_the_same_pieces(text: str, limit: int) -> None:
    assert cuts(text, limit) == cuts(text, limit)


@given(TEXTS, st.integers(8, 300))
def test_what_fits_is_left_whole(text: str, limit: int) -> None:
    if size_of(text) <= limit:
        assert cuts(text, limit) == [len(text)]


@given(st.integers(1, 400), st.integers(200, 2_000))
def test_there_are_not_many_more_pieces_than_needed(lines: int, limit: int) -> None:
    text = "A line of some length, as they are.\n" * lines
    assert len(pieces(text, limit)) <= -(-len(text) // limit) * 2


@given(st.text("ae\u0301\u0308👍🏽\u200d❤️", min_size=200, max_size=400), st.integers(80, 120))
def test_no_cut_goes_through_a_character(text: str, limit: int) -> None:
    for piece in pieces(text, limit)[1:]:
        joined = re.match("[\u0301\u0308\u200d\ufe0f\U0001f3ff\U0001f3fd]", piece)
        assert not joined or re.search("[\u0301\u0308\u200d\ufe0f🏽❤👍]{12,}", text)


def test_a_line_end_of_two_characters_stays_whole() -> None:
    text = "ab\r\n" * 50
    assert all(not piece.startswith("\n") for piece in pieces(text, 9))


def test_headings_are_the_first_choice_the_highest_first() -> None:
    section = "## Section\n\n" + "Some words here.\n\n" * 8
    text = "".join(f"# Chapter {n}\n\n{section * 3}" for n in range(6))
    found = pieces(text, 700)
    assert all(piece.startswith("# Chapter") for piece in found)
    found = pieces(f"# Only one\n\n{section * 20}", 700)
    assert all(piece.startswith(("# Only", "## Section")) for piece in found)


@pytest.mark.parametrize(
    "title", ["Chapter 7", "Article IV", "§ 12 Liability", "3.2 Scope of work", "SCOPE OF WORK"]
)
def test_other_headings_are_headings_too(title: str) -> None:
    text = f"{title}\n\n{'Some words here.' * 3}\n\nMore of them.\n\nAnd more.\n\n" * 30
    assert all(piece.startswith(title) for piece in pieces(text, 500))


def test_underlined_headings_are_kept_with_their_line() -> None:
    text = ("A title\n=======\n\n" + "Some words here.\n\n" * 6) * 20
    assert all(piece.startswith("A title\n===") for piece in pieces(text, 500))


def test_a_comment_in_a_fenced_block_is_no_heading() -> None:
    block = "```sh\n# not a heading\nrun\n# nor this\n```\n\n"
    text = ("## Step\n\n" + block + "Then go on.\n\n") * 30
    assert all(piece.startswith("## Step") for piece in pieces(text, 400))


def test_paragraphs_come_before_lines_and_lines_before_sentences() -> None:
    paragraphs = "one line\nanother line\nand a third\n\n" * 40
    assert all(piece.startswith("one line") for piece in pieces(paragraphs, 200))
    lines = "a line without an empty one. two\n" * 40
    assert all(piece.startswith("a line") for piece in pieces(lines, 200))
    sentences = "Here is a sentence. " * 60
    assert all(piece.startswith("Here") for piece in pieces(sentences, 200))
    words = "word " * 300
    assert all(piece.startswith("word") for piece in pieces(words, 203))


def test_a_table_is_kept_whole_where_it_fits() -> None:
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 12
    text = f"Some words before it.\n\n{table}\nSome words behind it.\n\n" * 20
    for piece in pieces(text, 500):
        assert piece.count("|---|") * 12 == piece.count("| 1 | 2 |")


def test_rows_of_a_table_that_is_too_long_are_kept_whole() -> None:
    text = "id,name,amount\n" + "17,Somebody,12.50\n" * 200
    assert all(piece.startswith(("id,", "17,")) for piece in pieces(text, 300))


def test_code_is_cut_before_definitions_at_the_margin() -> None:
    code = "def one():\n    a = 1\n\n    b = 2\n\n    return a + b\n\n\n" * 30
    assert all(piece.startswith("def one") for piece in pieces(code, 300))


def test_the_last_resort_is_between_characters() -> None:
    text = "\u4e00" * 1_000
    found = pieces(text, 100)
    assert {len(piece) for piece in found[:-1]} <= {33, 32, 31, 30}


def test_a_limit_without_room_for_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="no character"):
        cuts("abc", 4)
