"""Where a long text is cut: at its own structure, into pieces as large as a request has room for.

The pieces joined are the text. The same text and limit give the same pieces. Nothing here is
guessed about what kind of text it is: a heading, the beginning of a definition, an empty line, a
line's end, a sentence's end and a space are tried, in this order, wherever a cut may lie.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

_LEAST: Final = 0.6
"""A cut lies behind so much of an even share: less would make many small pieces."""

_HARD, _SPACE, _SENTENCE, _LINE, _PARAGRAPH, _BLOCK, _LOW, _MIDDLE, _HIGH, _TOP = range(10)
"""How good a place is: from between any two characters to before a heading of the first level."""

_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_HASHES: Final = re.compile(r" {0,3}(#{1,6})[ \t]")
_UNDERLINE: Final = re.compile(r" {0,3}(=+|-{2,})[ \t]*\r?$")
_NUMBERED: Final = re.compile(
    r"(?:chapter|part|book|article|section|annex|appendix|schedule|kapitel|teil|abschnitt|artikel)"
    r"\s+(?:\d|[IVXLC]+\b)|§\s*\d|\d+(?:\.\d+)+\.?\s+\S",
    re.IGNORECASE,
)
_DEFINITION: Final = re.compile(
    r"(?:@|async\s+def|def|class|func|fn|function|sub|public|private|protected|export|impl|struct"
    r"|enum|interface|trait|module|namespace|package|create|int|void|static|type|var|const|let)\b",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"[.!?…]['\")\]»”’]*\s+|[。！？]+")
_BLANKS: Final = re.compile(r"\s+")
_JOINERS: Final = "\u200d\ufe0e\ufe0f\u20e3"
_LONGEST_CHARACTER: Final = 64
_LONGEST_HEADING: Final = 200


def size_of(text: str) -> int:
    """Bytes of a text as it is sent."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def cuts(text: str, limit: int) -> list[int]:
    """Where the pieces of `text` end, each of at most `limit` bytes of UTF-8 (at least 8).

    A piece is larger only where a single character is, as a reader sees it.
    """
    if limit < 8:
        raise ValueError(f"no character fits into {limit} bytes")
    fences = [found.start() for found in _FENCE.finditer(text)]
    left = size_of(text)
    ends: list[int] = []
    start = 0
    while left > limit:
        share = -(-left // -(-left // limit))
        end = _cut(text, start, _reach(text, start, share), _reach(text, start, limit), fences)
        left -= size_of(text[start:end])
        ends.append(end)
        start = end
    if start < len(text) or not ends:
        ends.append(len(text))
    return ends


def _reach(text: str, start: int, size: int) -> int:
    """How far so many bytes reach, in characters; no half ones."""
    data = text[start : start + size].encode("utf-8", "surrogatepass")
    return start + len(data[:size].decode("utf-8", "ignore")) if len(data) > size else start + size


def _cut(text: str, start: int, share: int, most: int, fences: list[int]) -> int:
    """The best place between so much of an even share and the most; of equals the one that is
    nearest to the share."""
    least = min(start + max(int((share - start) * _LEAST), 1), most)
    best, where = -1, most
    for place, rank in _places(text, least, most, fences):
        if rank > best or (rank == best and abs(place - share) < abs(where - share)):
            best, where = rank, place
    return where if best > _HARD else _hard(text, start, most)


def _places(text: str, least: int, most: int, fences: list[int]) -> Iterator[tuple[int, int]]:
    """Beginnings of lines with their rank; without one, ends of sentences; without one, spaces."""
    place = text.find("\n", max(least - 1, 0), most)
    found = False
    while place >= 0:
        found = True
        yield place + 1, _rank(text, place + 1, fences)
        place = text.find("\n", place + 1, most)
    if found:
        return
    for pattern, rank in ((_SENTENCE_END, _SENTENCE), (_BLANKS, _SPACE)):
        for match in pattern.finditer(text, least, most):
            if match.end() >= least:
                found = True
                yield match.end(), rank
        if found:
            return


def _rank(text: str, start: int, fences: list[int]) -> int:
    """How good it is to cut before the line that begins here."""
    line = _line(text, start)
    if bisect_left(fences, start) % 2:  # within a fenced block: its text is no Markdown
        return _LINE
    before = _line(text, text.rfind("\n", 0, start - 1) + 1).strip()
    if heading := _HASHES.match(line):
        return (_TOP, _HIGH, _MIDDLE)[len(heading[1]) - 1] if len(heading[1]) <= 3 else _LOW
    below = _line(text, start + len(line) + 1)
    if line.strip() and not before and (mark := _UNDERLINE.match(below)):
        return _TOP if mark[1][0] == "=" else _HIGH
    if line.startswith("\f"):
        return _HIGH
    if before:
        return _LINE
    title = line.strip()
    if title and len(title) <= _LONGEST_HEADING:
        if _NUMBERED.match(title) or (title.isupper() and len(title) > 3):
            return _LOW
        if _DEFINITION.match(line):  # at the margin, so what is below it belongs to it
            return _BLOCK
    return _PARAGRAPH if title and not line[0].isspace() else _LINE


def _line(text: str, start: int) -> str:
    end = text.find("\n", start, start + 1_000)
    return text[start : start + 1_000 if end < 0 else end]


def _hard(text: str, start: int, most: int) -> int:
    """As far as it goes, but not into what a reader sees as one character."""
    for place in range(most, max(start, most - _LONGEST_CHARACTER), -1):
        if place >= len(text) or not _joined(text, place):
            return place
    return most


def _joined(text: str, place: int) -> bool:
    """Whether what is left and right of here belongs to one character."""
    left, right = text[place - 1], text[place]
    return (
        (left == "\r" and right == "\n")
        or right in _JOINERS
        or left == "\u200d"
        or unicodedata.category(right).startswith("M")
        or "\U0001f3fb" <= right <= "\U0001f3ff"
        or ("\U0001f1e6" <= left <= "\U0001f1ff" and "\U0001f1e6" <= right <= "\U0001f1ff")
    )
