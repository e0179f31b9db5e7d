"""Web pages to Markdown; Word documents and books come through here too.

markdownify does the prose. Tables are laid out here: it knows no rows that span, and cells of
several lines break its rows.
"""

import re
from typing import Final

from bs4 import BeautifulSoup, Comment, Declaration, Doctype, ProcessingInstruction, Tag
from markdownify import MarkdownConverter

from shared.adapters.converters.markdown import cell, counted, joined, one_line, table
from shared.domain.text import decode
from shared.ports.converter import Converted, Unconvertible

_UNSEEN: Final = ("script", "style", "template", "noscript", "head", "link", "meta")
_UNWRITTEN: Final = (Comment, Declaration, Doctype, ProcessingInstruction)
_FRAMES: Final = ("iframe", "frame", "object", "embed")
_MEDIA: Final = ("video", "audio", "canvas", "svg")
_HIDING: Final = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b", re.IGNORECASE
)
_CSS_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_MOST_SPAN: Final = 200
_TAKEN: Final = str.maketrans(dict.fromkeys("\x00\x01\x02\x03"))
_CELL: Final = re.compile("\x00(\\d+),(\\d+)\x01(.*?)\x02", re.DOTALL)
_NO_PICTURE: Final = re.compile(r"!\[\]\([^)\n]*\)")


class _Writer(MarkdownConverter):
    # ruff: noqa: ARG002 - the library calls every method with all of it
    """Cells and rows are marked first, and laid out once their table is whole."""

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f"\x00{_span(el, 'colspan')},{_span(el, 'rowspan')}\x01{cell(text)}\x02"

    convert_th = convert_td

    def convert_p(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "td" in parent_tags or "th" in parent_tags:
            return f"\n{text.strip()}\n"
        return str(super().convert_p(el, text, parent_tags))  # type: ignore[misc]  # made at run time

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return text + "\x03"

    def convert_caption(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return ""  # written above the table

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        rows = _laid_out(text)
        if "td" in parent_tags or "th" in parent_tags:
            return "\n" + "\n".join(" / ".join(p for p in row if p) for row in rows) + "\n"
        caption = el.find("caption")
        above = f"{one_line(caption.get_text())}\n\n" if caption else ""
        return f"\n\n{above}{table(rows)}\n\n"

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        about = one_line(str(el.get("alt") or ""), 500)
        return f"[Image: {about}]" if about else ""


def page(data: bytes) -> Converted:
    """An HTML file. Raises Unreadable, and Unconvertible for one with nothing to read."""
    text, losses = from_html(decode(data).text, titled=True)
    if not text.strip():
        raise Unconvertible("empty_document", "the page shows no text; there is nothing to read")
    return Converted(text=text, losses=losses)


def from_html(html: str, *, titled: bool = False) -> tuple[str, tuple[str, ...]]:
    """Markdown, and what was left out. With `titled` the page's title goes first, unless its first
    heading says the same."""
    soup = BeautifulSoup(html.translate(_TAKEN), "html.parser")
    title = one_line(soup.title.get_text(), 300) if titled and soup.title else ""
    heading = soup.find("h1")
    for node in soup.find_all(string=lambda found: isinstance(found, _UNWRITTEN)):
        node.extract()
    for found in soup.find_all(_UNSEEN):
        found.decompose()
    losses = (*hidden_text(_without_hidden(soup)), *_left_out(soup))
    text = joined([as_markdown(soup)])
    if title and not (heading and one_line(heading.get_text(), 300) == title):
        text = joined([f"# {title}", text])
    return text, losses


def as_markdown(soup: BeautifulSoup) -> str:
    """What is left of a page."""
    writer = _Writer(
        heading_style="atx",
        bullets="-",
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
    )
    return _NO_PICTURE.sub("", str(writer.convert_soup(soup)))


def hidden_text(characters: int) -> list[str]:
    """The loss that says so. What it was isn't repeated: it may be written for the model alone."""
    return [f"hidden text left out ({counted(characters, 'character')})"] if characters else []


def _without_hidden(soup: BeautifulSoup) -> int:
    """Takes out what its own attributes hide, and counts the characters. The page as a whole may be
    hidden until its script shows it. Style sheets aren't followed: what they hide at first, they
    show at a click."""
    characters = 0
    for tag in soup.find_all(_is_hidden):
        if not tag.decomposed:
            characters += len(" ".join(tag.get_text().split()))
            tag.decompose()
    return characters


def _is_hidden(tag: Tag) -> bool:
    if tag.name in ("html", "body"):
        return False
    style = _CSS_COMMENT.sub("", str(tag.get("style") or ""))
    return tag.has_attr("hidden") or _HIDING.search(style) is not None


def _left_out(soup: BeautifulSoup) -> tuple[str, ...]:
    losses = []
    if images := len(soup.find_all("img")):
        losses.append(f"{counted(images, 'image')} left out")
    for names, what in ((_MEDIA, "drawing or medium"), (_FRAMES, "embedded frame or object")):
        found = soup.find_all(names)
        if found:
            many = {"drawing or medium": "drawings or media"}.get(what, "")
            losses.append(f"{counted(len(found), what, many)} left out")
        for tag in found:
            tag.decompose()
    return tuple(losses)


def _span(el: Tag, name: str) -> int:
    given = str(el.get(name) or "1")
    return min(max(int(given), 1), _MOST_SPAN) if given.isascii() and given.isdigit() else 1


def _laid_out(text: str) -> list[list[str]]:
    """Rows of equal columns: what spans stands in its first place, and the others are empty."""
    rows: list[list[str]] = []
    below: dict[int, int] = {}
    for line in text.split("\x03"):
        cells = _CELL.findall(line)
        if not cells:
            continue
        row: list[str] = []
        for wide, high, content in cells:
            while below.get(len(row), 0):
                below[len(row)] -= 1
                row.append("")
            for place in range(int(wide)):
                if int(high) > 1:
                    below[len(row)] = int(high) - 1
                row.append(content if place == 0 else "")
        while below.get(len(row), 0):
            below[len(row)] -= 1
            row.append("")
        rows.append(row)
    return rows
