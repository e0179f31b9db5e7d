"""Text that Word doesn't show (the font's "hidden"): nobody who reads the document knows of it."""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as Etree

from shared.adapters.converters.packages import Package, broken

_MENTIONED: Final = re.compile(rb"v\x00?a\x00?n\x00?i\x00?s\x00?h|h\x00?i\x00?d\x00?d\x00?e\x00?n")
"""What hides a run, and a row of a table: in UTF-16 too."""
_NO: Final = frozenset({"0", "false", "off"})
_KEPT: Final = frozenset({"rPr", "fldChar", "instrText"})
"""Of a hidden run: what begins and ends a field, whose result may be shown."""


class Hidden:
    """Takes hidden runs and table rows out of a document's parts, and counts their characters."""

    def __init__(self, package: Package) -> None:
        self.characters = 0
        self._styles: dict[str, Etree.Element] = {}
        self._by_default = ""
        for name in package.like("word/", ".xml"):
            if name.count("/") == 1 and "style" in name.lower():
                self._learn(package.read(name))

    def without(self, part: bytes) -> bytes:
        """A part without them; as it is where it has none. Raises Unconvertible."""
        names_style = any(map(self._hides, self._styles))
        if not (names_style or _MENTIONED.search(part)):
            return part
        tree = _tree(part)
        before = self.characters
        self._walk(tree, within=False, by_style=self._hides(self._by_default))
        return Etree.tostring(tree) if self.characters > before else part

    def _learn(self, part: bytes) -> None:
        if not _MENTIONED.search(part):
            return
        for style in _named(_tree(part), "style"):
            identity = _value(style, "styleId")
            self._styles[identity] = style
            is_default = _value(style, "default", "0") not in _NO
            if is_default and _value(style, "type") == "paragraph":
                self._by_default = identity

    def _hides(self, identity: str) -> bool:
        """Whether a style, or the nearest one it is based on that says so, hides its text."""
        seen: set[str] = set()
        while identity in self._styles and identity not in seen:
            seen.add(identity)
            style = self._styles[identity]
            said = _said(style)
            if said is not None:
                return said
            identity = next((_value(each) for each in _named(style, "basedOn")), "")
        return False

    def _walk(self, root: Etree.Element, *, within: bool, by_style: bool) -> None:
        # A stack of its own: tables within tables are as deep as a file likes.
        todo = [(root, within, by_style)]
        while todo:
            node, hidden, styled = todo.pop()
            match _local(node):
                case "p":
                    name = _property(node, "pPr", "pStyle")
                    styled = self._hides(self._by_default if name is None else _value(name))
                case "tr":
                    found = _property(node, "trPr", "hidden")
                    hidden = hidden or (found is not None and _value(found, "val", "1") not in _NO)
                case "r":
                    if hidden or self._is_hidden(node, by_style=styled):
                        self._empty(node)
                        continue
            todo += [(child, hidden, styled) for child in node]

    def _is_hidden(self, run: Etree.Element, *, by_style: bool) -> bool:
        said = _said(run)
        if said is not None:
            return said
        style = _property(run, "rPr", "rStyle")
        # The two kinds of styles undo each other (ECMA-376, toggle properties).
        return by_style != (style is not None and self._hides(_value(style)))

    def _empty(self, run: Etree.Element) -> None:
        self.characters += sum(len(text.text or "") for text in _named(run, "t"))
        for child in [each for each in run if _local(each) not in _KEPT]:
            self.characters += 0 if _local(child) != "sym" else 1
            run.remove(child)


def _tree(part: bytes) -> Etree.Element:
    try:
        return Etree.fromstring(part)  # noqa: S314 - no declarations: `refuse_dtd`
    except (Etree.ParseError, ValueError) as error:
        raise broken("one of its parts is no XML") from error


def _said(node: Etree.Element) -> bool | None:
    found = _property(node, "rPr", "vanish")
    return None if found is None else _value(found, "val", "1") not in _NO


def _property(node: Etree.Element, holder: str, name: str) -> Etree.Element | None:
    for child in node:
        if _local(child) == holder:
            return next((each for each in child if _local(each) == name), None)
    return None


def _named(node: Etree.Element, name: str) -> Iterator[Etree.Element]:
    return (each for each in node.iter() if _local(each) == name)


def _local(node: Etree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _value(node: Etree.Element, name: str = "val", otherwise: str = "") -> str:
    """An attribute, whichever of Word's two namespaces the file is written in."""
    for key, value in node.items():
        if key.rpartition("}")[2] == name:
            return value
    return otherwise
