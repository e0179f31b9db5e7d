"""What a sheet's cells have besides their values, which the library that reads those passes over:
errors, what is hidden, links, and formats that say what a number is."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from shared.adapters.converters.markdown import counted, shortened
from shared.adapters.converters.packages import Package
from shared.adapters.converters.sheet_comments import relations, sheet_parts, tree

_LOOKED_THROUGH: Final = 60_000_000
_YES: Final = ("1", "true")
_BUILT_IN: Final = {
    **dict.fromkeys((5, 6, 7, 8, 42, 44), "currency"),
    **dict.fromkeys((9, 10), "%"),
}
"""Formats that no file spells out (ECMA-376, numFmt), as far as they say more than a number."""
_LITERAL: Final = re.compile(r'"([^"]*)"|\\(.)|[_*].|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]')
_DATE: Final = re.compile(r"[ymdhs]", re.IGNORECASE)
_CURRENCY: Final = re.compile(r"[$\u00a2-\u00a5\u20a0-\u20cf]")


@dataclass(slots=True)
class Marks:
    """Of one sheet; rows and columns count from 0."""

    errors: dict[int, dict[int, str]] = field(default_factory=dict)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[range] = field(default_factory=list)
    links: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    unread: bool = False

    def hides(self, column: int) -> bool:
        """Whether a column isn't shown."""
        return any(column in each for each in self.hidden_columns)


class Reader:
    """Reads the marks of a workbook's sheets by their names."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._parts = sheet_parts(package)
        self._formats = _formats(package)

    def of(self, sheet: str) -> Marks:
        """Raises ExpatError for a part that is no XML."""
        marks = Marks()
        part = self._parts.get(sheet, "")
        if part not in self._package.names:
            return marks
        if self._package.zip.getinfo(part).file_size > _LOOKED_THROUGH:
            marks.unread = True
            return marks
        _Cells(marks, self._formats).read(self._package.read(part))
        return marks


class _Cells:
    """The events of a sheet's part. Places are optional: a cell without one is the next."""

    def __init__(self, marks: Marks, formats: list[str]) -> None:
        self._marks = marks
        self._formats = formats
        self._row = self._column = -1
        self._is_error = self._in_value = False
        self._format = ""
        self._text = ""

    def read(self, part: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        parser.Parse(part, True)

    def _start(self, name: str, about: dict[str, str]) -> None:
        match name.rpartition("}")[2]:
            case "c":
                self._cell(about)
            case "v":
                self._in_value, self._text = True, ""
            case "row":
                self._row = int(about["r"]) - 1 if "r" in about else self._row + 1
                self._column = -1
                if about.get("hidden") in _YES:
                    self._marks.hidden_rows.add(self._row)
            case "col" if about.get("hidden") in _YES:
                columns = range(int(about["min"]) - 1, int(about["max"]))
                self._marks.hidden_columns.append(columns)
            case "hyperlink":
                self._marks.links += 1

    def _cell(self, about: dict[str, str]) -> None:
        place = about.get("r", "")
        self._column = _column(place) if place else self._column + 1
        kind = about.get("t", "n")
        self._is_error = kind == "e"
        style = int(about.get("s", "0"))
        known = kind == "n" and style < len(self._formats)
        self._format = self._formats[style] if known else ""

    def _said(self, text: str) -> None:
        if self._in_value and self._is_error:
            self._text += text

    def _end(self, name: str) -> None:
        if not self._in_value or name.rpartition("}")[2] != "v":
            return
        self._in_value = False
        if self._is_error:
            self._marks.errors.setdefault(self._row, {})[self._column] = self._text
        elif self._format and self._row not in self._marks.hidden_rows:
            self._marks.formats[self._format] += not self._marks.hides(self._column)


def losses(found: Iterable[Marks]) -> list[str]:
    """What isn't in the tables of these sheets, whose hidden rows and columns were left out."""
    sheets = list(found)
    rows = sum(len(each.hidden_rows) for each in sheets)
    columns = sum(map(len, (columns for each in sheets for columns in each.hidden_columns)))
    links = sum(each.links for each in sheets)
    formats = sum((each.formats for each in sheets), Counter[str]())
    said = [f"{counted(rows, 'hidden row')} left out"] if rows else []
    said += [f"{counted(columns, 'hidden column')} left out"] if columns else []
    if formats:
        which = shortened(name for name, _ in formats.most_common())
        said.append(f"the format of {counted(formats.total(), 'number')} left out: {which}")
    said += [f"{counted(links, 'address', 'addresses')} of links left out"] if links else []
    if large := sum(each.unread for each in sheets):
        said.append(
            f"{counted(large, 'sheet')} too large to look for errors, links, formats and what is "
            "hidden"
        )
    return said


def _formats(package: Package) -> list[str]:
    """By the number of a cell's style, what its format says of a number besides its digits."""
    kinds = relations(package, "xl/workbook.xml").values()
    styles = tree(package, next((part for kind, part in kinds if kind.endswith("/styles")), ""))
    codes = styles.findall("./{*}numFmts/{*}numFmt")
    own = {each.get("numFmtId", ""): each.get("formatCode", "") for each in codes}
    found = []
    for each in styles.findall("./{*}cellXfs/{*}xf"):
        number = each.get("numFmtId", "0")
        if number in own:
            found.append(own[number] if _tells(own[number]) else "")
        else:
            found.append(_BUILT_IN.get(int(number), "") if number.isdigit() else "")
    return found


def _tells(code: str) -> bool:
    """Whether a format of numbers has a unit, a currency or percents. Dates are shown as such."""
    code = code.partition(";")[0]
    spelled = "".join("".join(parts) for parts in _LITERAL.findall(code))
    bare = _LITERAL.sub("", code)
    if _DATE.search(bare.replace("General", "")) and not _CURRENCY.search(bare):
        return False
    return "%" in bare or bool(_CURRENCY.search(bare + spelled)) or any(map(str.isalnum, spelled))


def _column(place: str) -> int:
    number = 0
    for letter in place:
        if not letter.isalpha():
            break
        number = number * 26 + ord(letter.upper()) - ord("A") + 1
    return number - 1
