"""Cutting a stream of bytes into lines."""

from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.result_lines import Lines


@given(st.lists(st.binary(max_size=8).map(lambda piece: piece.replace(b"\x00", b"\n"))))
def test_lines_do_not_depend_on_how_the_stream_was_cut(pieces: list[bytes]) -> None:
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)] + lines.finish()
    whole = b"".join(pieces).split(b"\n")
    assert found == [line for line in whole if line and not line.isspace()]


def test_a_line_of_64_mb_in_small_pieces_comes_whole() -> None:
    lines, piece = Lines(), bytes(16 << 10)
    for _ in range(4096):
        assert lines.feed(piece) == []
    (line,) = lines.feed(b"\n")
    assert len(line) == 64 << 20


def test_a_giant_line_costs_no_more_than_the_limit_and_the_next_is_whole() -> None:
    lines = Lines(most=1000)
    for _ in range(100):
        assert lines.feed(b"x" * 999) == []
    assert lines.feed(b"x\nwhole\n") == [b"x" * 1000, b"whole"]
