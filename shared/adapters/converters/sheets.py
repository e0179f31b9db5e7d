"""Workbooks (xlsx): each visible sheet as a table of the values that were last calculated."""

import io
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from shared.adapters.converters.markdown import cell, counted, joined, one_line, shortened, table
from shared.adapters.converters.packages import Package, named
from shared.adapters.converters.sheet_comments import comments
from shared.adapters.converters.sheet_marks import Marks, Reader, losses
from shared.ports.converter import Converted, Unconvertible

_MOST_CHARACTERS: Final = 20_000_000
"""Of the whole text: more than any model's context holds."""
_MOST_MERGED: Final = 50
_LOOKED_THROUGH: Final = 60_000_000
_UNCALCULATED: Final = re.compile(
    rb"<c [^>]*>\s*<f[^>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>"
)


def workbook(data: bytes, package: Package) -> Converted:
    """An xlsx. Raises Unconvertible."""
    package.refuse_dtd()
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    parts: list[str] = []
    hidden: list[str] = []
    charts: list[str] = []
    said = comments(package)
    reader = Reader(package)
    seen: list[Marks] = []
    size = 0
    for meta in book.sheets_metadata:
        if meta.visible is not SheetVisibleEnum.Visible:
            hidden.append(meta.name)
        elif meta.typ is not SheetTypeEnum.WorkSheet:
            charts.append(meta.name)
        else:
            marks = reader.of(meta.name)
            seen.append(marks)
            text = _sheet(book.get_sheet_by_name(meta.name), marks, _MOST_CHARACTERS - size)
            size += len(text)
            noted = said.get(meta.name)
            notes = joined(["Comments:", "\n".join(noted)]) if noted else ""
            parts += [f"## Sheet: {one_line(meta.name)}", text or "(empty)", notes]
    if not size:
        raise Unconvertible("empty_document", "no sheet that is shown has a value in it")
    lost = [named("hidden sheets", hidden)] if hidden else []
    lost += [named("chart sheets", charts)] if charts else []
    return Converted(text=joined(parts), losses=(*lost, *losses(seen), *_left_out(package)))


def _sheet(sheet: CalamineSheet, marks: Marks, room: int) -> str:
    rows: list[list[str]] = []
    for row in _rows(sheet, marks):
        room -= sum(map(len, row)) + 3 * len(row)
        if room < 0:
            raise Unconvertible(
                "document_too_large",
                f"its sheets have more than {_MOST_CHARACTERS:,} characters; split it",
            )
        rows.append(row)
    while rows and not any(rows[-1]):
        rows.pop()
    merged = sheet.merged_cell_ranges or []
    areas = [f"{_place(first)}:{_place(last)}" for first, last in merged]
    note = f"Merged cells: {shortened(areas, _MOST_MERGED)}" if areas else ""
    whole = table(rows)
    return joined([whole, note]) if whole else ""


def _rows(sheet: CalamineSheet, marks: Marks) -> Iterator[list[str]]:
    """Rows and columns that are shown. Empty rows at the top are left out, and of several in a row
    all but one."""
    was_empty = True
    for number, row in enumerate(sheet.iter_rows()):
        if number in marks.hidden_rows:
            continue
        wrong = marks.errors.get(number, {})
        is_empty = not wrong and not any(value != "" for value in row)
        if is_empty and was_empty:
            continue
        was_empty = is_empty
        values = [_shown(wrong.get(column, value)) for column, value in enumerate(row)]
        if marks.hidden_columns:
            values = [text for column, text in enumerate(values) if not marks.hides(column)]
        while values and not values[-1]:
            values.pop()
        yield values


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime() if value.time() == time(0):
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        case _:
            return cell(str(value))


def _place(at: tuple[int, int]) -> str:
    row, column = at
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(ord("A") + letter) + name
    return f"{name}{row + 1}"


def _left_out(package: Package) -> list[str]:
    lost = []
    uncalculated = 0
    for name in package.like("xl/worksheets/", ".xml"):
        if package.zip.getinfo(name).file_size <= _LOOKED_THROUGH:
            uncalculated += len(_UNCALCULATED.findall(package.read(name)))
    if uncalculated:
        lost.append(
            f"{counted(uncalculated, 'formula')} without a stored result left empty; "
            "open and save the workbook to calculate them"
        )
    if pictures := package.like("xl/media/"):
        lost.append(f"{counted(len(pictures), 'image')} left out")
    if package.like("xl/pivotTables/"):
        lost.append("pivot tables read as their values")
    return [*lost, *package.left_out("xl")]
