"""Pieces of Markdown that several converters write."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_MOST_NAME: Final = 120
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f]+")
_LINES: Final = re.compile(r"\s*\n\s*")
_BLANK_LINES: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


def one_line(text: str, longest: int = _MOST_NAME) -> str:
    """A name or a title out of a file, as it may stand in a line."""
    line = _SPACE.sub(" ", text).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def cell(text: str) -> str:
    """Text as it may stand in a table."""
    return _LINES.sub("<br>", text.strip()).replace("|", "\\|")


def table(rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are ready; its first row is the head. Empty without any text."""
    found = [list(row) for row in rows]
    if not any(text for row in found for text in row):
        return ""
    width = max(len(row) for row in found)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in found]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def fenced(text: str, language: str = "") -> str:
    """Text between fences that it can't close."""
    ticks = max((len(run) for run in re.findall(r"`{3,}", text)), default=2) + 1
    fence = "`" * max(ticks, 3)
    return f"{fence}{one_line(language, 20)}\n{text.rstrip()}\n{fence}"


def joined(parts: Iterable[str]) -> str:
    """Parts that have something to say, a blank line apart."""
    whole = "\n\n".join(part.strip("\n") for part in parts if part.strip())
    return _BLANK_LINES.sub("\n\n", whole).strip() + "\n"


def counted(number: int, one: str, many: str = "") -> str:
    """`3 images`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shortened(names: Iterable[str], most: int = 5) -> str:
    """A few names, and how many more there are."""
    known = [one_line(name, 60) for name in names]
    more = len(known) - most
    return ", ".join(known[:most]) + (f" and {more:,} more" if more > 0 else "")
