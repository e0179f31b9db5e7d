"""Comments of a workbook, which the library that reads its values passes over."""

import posixpath
from typing import Final
from xml.etree import ElementTree as Etree

from shared.adapters.converters.markdown import one_line
from shared.adapters.converters.packages import Package

_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_COMMENTS: Final = "/comments"
_LONGEST: Final = 2_000


def comments(package: Package) -> dict[str, list[str]]:
    """For each sheet, by its name, a line for each comment. What can't be followed is passed over:
    `xl/comments…` without a sheet is nobody's."""
    found = {}
    for name, part in sheet_parts(package).items():
        lines = [
            line
            for kind, target in relations(package, part).values()
            if kind.endswith(_COMMENTS)
            for line in _lines(package, target)
        ]
        if lines:
            found[name] = lines
    return found


def sheet_parts(package: Package) -> dict[str, str]:
    """The part of each sheet, by its name; an empty one where that can't be followed."""
    targets = relations(package, "xl/workbook.xml")
    return {
        sheet.get("name", ""): targets.get(sheet.get(_RELATION, ""), ("", ""))[1]
        for sheet in tree(package, "xl/workbook.xml").findall(".//{*}sheet")
    }


def _lines(package: Package, part: str) -> list[str]:
    whole = tree(package, part)
    authors = [each.text or "" for each in whole.findall("./{*}authors/{*}author")]
    lines = []
    for comment in whole.findall(".//{*}comment"):
        number = comment.get("authorId", "")
        known = number.isdigit() and int(number) < len(authors)
        who = one_line(authors[int(number)]) if known else ""
        text = one_line("".join(comment.itertext()), _LONGEST)
        by = f" ({who})" if who else ""
        lines.append(f"- {one_line(comment.get('ref', ''), 20)}{by}: {text}")
    return lines


def relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """What a part refers to, by id: the kind and the name of each."""
    folder, name = posixpath.split(part)
    whole = tree(package, f"{folder}/_rels/{name}.rels")
    return {
        each.get("Id", ""): (each.get("Type", ""), _joined(folder, each.get("Target", "")))
        for each in whole.findall("./{*}Relationship")
    }


def _joined(folder: str, target: str) -> str:
    if target.startswith("/"):
        return target[1:]
    return posixpath.normpath(posixpath.join(folder, target))


def tree(package: Package, name: str) -> Etree.Element:
    """An empty one where there is no such part."""
    if name not in package.names:
        return Etree.Element("none")
    return Etree.fromstring(package.read(name))  # noqa: S314 - it declares no entities
