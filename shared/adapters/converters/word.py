"""Word documents (docx): mammoth tells headings, lists, notes, comments and tables by their styles.

It makes HTML, which becomes Markdown like any page's.
"""

import io
import re
import zipfile
from typing import Any, Final

import mammoth
from bs4 import BeautifulSoup, Tag

from shared.adapters.converters.markdown import counted, joined
from shared.adapters.converters.packages import Package
from shared.adapters.converters.web import as_markdown, hidden_text
from shared.adapters.converters.word_hidden import Hidden
from shared.ports.converter import Converted, Unconvertible

_STYLES: Final = "comment-reference => sup\np[style-name='Title'] => h1:fresh\nstrike => s"
_STYLE_PART: Final = "word/styles.xml"
_STYLE_LOOKS: Final = re.compile(
    rb"<w:tblStylePr\b.*?</w:tblStylePr>|<w:latentStyles\b.*?</w:latentStyles>", re.DOTALL
)
_LOOKS: Final = ("word/theme/", "word/stylesWithEffects", "word/fontTable", "customXml/")
_MARGINS: Final = ("word/header", "word/footer")
"""Left out as a whole."""
_TEXT: Final = re.compile(rb"<w:t[ >][^<]*\S[^<]*</w:t>")
_INSERTED: Final = re.compile(rb"<w:(?:ins|moveTo) ")
_DELETED: Final = re.compile(rb"<w:(?:del|moveFrom) ")
_EQUATION: Final = re.compile(rb"<m:oMath[ >]")
_NOTE: Final = re.compile(r"#?(footnote|endnote|comment)-(ref-)?(.{1,40})")


def document(package: Package) -> Converted:
    """A docx. Raises Unconvertible."""
    package.refuse_dtd()
    pictures = 0

    def without(_: Any) -> dict[str, str]:
        nonlocal pictures
        pictures += 1
        return {"src": ""}

    hidden = Hidden(package)
    html = mammoth.convert_to_html(
        _read(package, hidden),
        style_map=_STYLES,
        convert_image=mammoth.images.img_element(without),
        external_file_access=False,
    ).value
    soup = BeautifulSoup(html.translate(dict.fromkeys((0, 1, 2, 3))), "html.parser")
    _name_notes(soup)
    text = joined([as_markdown(soup)])
    if not text.strip():
        raise Unconvertible("empty_document", "the document shows no text; nothing to read")
    losses = hidden_text(hidden.characters)
    losses += [f"{counted(pictures, 'image')} left out"] if pictures else []
    return Converted(text=text, losses=(*losses, *_left_out(package)))


def _read(package: Package, hidden: Hidden) -> io.BytesIO:
    """The document as mammoth needs it: without pictures and hidden text, and without what styles
    look like, which of some programs' documents are four fifths of all there is to read."""
    lean = io.BytesIO()
    with zipfile.ZipFile(lean, "w") as made:
        for name in package.names:
            if name.endswith((".xml", ".rels")) and not name.startswith(_LOOKS):
                part = package.read(name)
                if name == _STYLE_PART:
                    part = _STYLE_LOOKS.sub(b"", part)
                elif name.startswith("word/") and not name.startswith(_MARGINS):
                    part = hidden.without(part) if name.endswith(".xml") else part
                made.writestr(name, part)
    return lean


def _name_notes(soup: BeautifulSoup) -> None:
    """Notes and comments as Markdown has them: `[^1]` in the text, `[^1]: …` below it."""
    for link in soup.find_all("a"):
        found = _NOTE.fullmatch(str(link.get("href") or ""))
        if found is None:
            continue
        if found[2]:
            link.decompose()  # the way back
        else:
            if link.parent is not None and link.parent.name == "sup":
                link.parent.name = "span"
            link.replace_with(f"[^{_mark(found[1], found[3])}]")
    for note in soup.find_all(["li", "dt"]):
        found = _NOTE.fullmatch(str(note.get("id") or ""))
        if found is not None:
            _restated(soup, note, _mark(found[1], found[3]))
    for holder in soup.find_all(["ol", "dl"]):
        if holder.find("p", attrs={"data-note": True}):
            holder.name = "div"


def _restated(soup: BeautifulSoup, note: Tag, mark: str) -> None:
    body = note.find_next_sibling("dd") if note.name == "dt" else None
    words = (body or note).get_text(" ", strip=True)
    who = note.get_text(" ", strip=True) if body else ""
    line = soup.new_tag("p", attrs={"data-note": "1"})
    line.string = f"[^{mark}]: {who}: {words}" if who else f"[^{mark}]: {words}"
    if isinstance(body, Tag):
        body.decompose()
    note.replace_with(line)


def _mark(kind: str, number: str) -> str:
    return number if kind == "footnote" else f"{kind}-{number}"


def _left_out(package: Package) -> list[str]:
    body = package.read("word/document.xml") if "word/document.xml" in package.names else b""
    losses = []
    inserted, deleted = len(_INSERTED.findall(body)), len(_DELETED.findall(body))
    if inserted or deleted:
        losses.append(
            f"tracked changes were read as accepted: {counted(inserted, 'insertion')} kept, "
            f"{counted(deleted, 'deletion')} left out"
        )
    margins = [*package.like("word/header", ".xml"), *package.like("word/footer", ".xml")]
    if any(_TEXT.search(package.read(name)) for name in margins):
        losses.append("headers and footers of the pages left out")
    if equations := len(_EQUATION.findall(body)):
        losses.append(f"{counted(equations, 'equation')} left out")
    return [*losses, *package.left_out("word")]
