"""Books (EPUB): their chapters in reading order."""

import posixpath
import re
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree as Etree

from shared.adapters.converters.markdown import counted, joined, one_line
from shared.adapters.converters.packages import Package, broken
from shared.adapters.converters.web import from_html
from shared.domain.text import Unreadable, decode
from shared.ports.converter import Converted, Unconvertible

_CONTAINER: Final = "META-INF/container.xml"
_FONTS_ONLY: Final = re.compile(
    rb"Algorithm=\"[^\"]*(?:obfuscation|ns\.adobe\.com/pdf/enc)[^\"]*\""
)
_ALGORITHM: Final = re.compile(rb"EncryptionMethod[^>]+Algorithm=")
_IMAGES: Final = re.compile(r"([\d,]+) images? left out")
_HTML: Final = frozenset({"application/xhtml+xml", "text/html"})


def book(package: Package) -> Converted:
    """An EPUB. Raises Unconvertible."""
    if "META-INF/encryption.xml" in package.names:
        locks = package.read("META-INF/encryption.xml")
        if len(_ALGORITHM.findall(locks)) > len(_FONTS_ONLY.findall(locks)):
            raise Unconvertible("encrypted", "the book is protected against copying")
    found = _tree(package, _CONTAINER).find(".//{*}rootfile")
    root = "" if found is None else found.get("full-path", "")
    outline = _tree(package, root)
    kinds = {
        item.get("id", ""): (item.get("href", ""), item.get("media-type", ""))
        for item in outline.findall(".//{*}item")
    }
    parts = [_about(outline)]
    images = lost = 0
    for reference in outline.findall(".//{*}itemref"):
        href, kind = kinds.get(reference.get("idref", ""), ("", ""))
        name = posixpath.normpath(posixpath.join(posixpath.dirname(root), unquote(href)))
        if kind not in _HTML or name not in package.names:
            lost += 1
            continue
        try:
            text, losses = from_html(decode(package.read(name)).text)
        except Unreadable as error:
            lost += error.type != "empty_document"
            continue
        images += sum(int(m[1].replace(",", "")) for loss in losses if (m := _IMAGES.match(loss)))
        parts.append(text)
    if not any(part.strip() for part in parts[1:]):
        raise Unconvertible("empty_document", "the book shows no text; there is nothing to read")
    said = [f"{counted(images, 'image')} left out"] if images else []
    said += [f"{counted(lost, 'chapter')} that can't be read left out"] if lost else []
    return Converted(text=joined(parts), losses=tuple(said))


def _about(outline: Etree.Element) -> str:
    title = outline.findtext(".//{http://purl.org/dc/elements/1.1/}title") or ""
    author = outline.findtext(".//{http://purl.org/dc/elements/1.1/}creator") or ""
    head = f"# {one_line(title, 300)}" if title.strip() else ""
    return joined([head, f"By {one_line(author, 300)}" if author.strip() else ""])


def _tree(package: Package, name: str) -> Etree.Element:
    """expat bounds what entities grow to, since 2.4."""
    try:
        return Etree.fromstring(package.read(name))  # noqa: S314 - within the bounds of this process
    except Etree.ParseError as error:
        raise broken(f"its part {name[:100]!r} is no XML") from error
