"""Slide shows (pptx): titles, bullets, tables, the figures of charts, and speaker notes."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE

from shared.adapters.converters.markdown import cell, counted, joined, one_line, table
from shared.adapters.converters.packages import Package
from shared.ports.converter import Converted, Unconvertible

_DEEPEST_GROUP: Final = 20
_MEDIA: Final = frozenset({MSO_SHAPE_TYPE.MEDIA, MSO_SHAPE_TYPE.WEB_VIDEO})
_FILE_NAME: Final = re.compile(
    r"[^\n]{0,200}\.(?:png|jpe?g|gif|bmp|tiff?|emf|wmf|svg)", re.IGNORECASE
)
_FAULTS: Final = (AttributeError, KeyError, ValueError, TypeError, NotImplementedError)
"""What python-pptx says of a chart that it doesn't know, or whose parts are missing."""


def slides(data: bytes, package: Package) -> Converted:
    """A pptx. Raises Unconvertible."""
    package.refuse_dtd()
    lost: Counter[str] = Counter()
    parts: list[str] = []
    for number, slide in enumerate(Presentation(io.BytesIO(data)).slides, start=1):
        title = slide.shapes.title
        heading = one_line(title.text_frame.text, 300) if title is not None else ""
        hidden = " (hidden)" if slide._element.get("show") == "0" else ""  # noqa: SLF001 - no public name
        parts.append(f"## Slide {number}{hidden}" + (f": {heading}" if heading else ""))
        same = None if title is None else title.shape_id
        parts += _shapes((s for s in slide.shapes if s.shape_id != same), lost)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            parts.append("Speaker notes:\n\n" + notes if notes else "")
    if not parts:
        raise Unconvertible("empty_document", "the slide show has no slides; nothing to read")
    losses = [f"{counted(number, what)} left out" for what, number in lost.items()]
    said = [loss for loss in package.left_out("ppt") if "chart" not in loss]
    comments = [*package.like("ppt/comments/", ".xml")]
    if comments:
        said.append("comments left out")
    return Converted(text=joined(parts), losses=(*losses, *said))


def _shapes(shapes: Any, lost: Counter[str], depth: int = 0) -> Iterator[str]:
    for shape in shapes:
        kind = shape.shape_type
        if kind == MSO_SHAPE_TYPE.GROUP:
            if depth < _DEEPEST_GROUP:
                yield from _shapes(shape.shapes, lost, depth + 1)
            else:
                lost["deeply nested group"] += 1
        elif getattr(shape, "has_table", False):
            yield table([[_merged(each) for each in row.cells] for row in shape.table.rows])
        elif getattr(shape, "has_chart", False):
            yield _chart(shape, lost)
        elif kind in _MEDIA:
            lost["film or sound"] += 1
        elif hasattr(shape, "image"):
            lost["image"] += 1
            about = shape._element._nvXxPr.cNvPr.get("descr") or ""  # noqa: SLF001 - no public name
            named = "" if _FILE_NAME.fullmatch(about) else one_line(about, 500)
            yield f"[Image: {named}]" if named else ""
        elif shape.has_text_frame:
            yield _text(shape.text_frame, bullets=shape.is_placeholder)


def _text(frame: Any, *, bullets: bool) -> str:
    lines = []
    for paragraph in frame.paragraphs:
        text = one_line(paragraph.text, 100_000)
        if text:
            lines.append(f"{'  ' * paragraph.level}- {text}" if bullets else text)
    return ("\n" if bullets else "\n\n").join(lines)


def _merged(each: Any) -> str:
    return "" if each.is_spanned else cell(each.text_frame.text)


def _chart(shape: Any, lost: Counter[str]) -> str:
    """A chart as the table of its figures."""
    try:
        chart = shape.chart
        title = chart.chart_title.text_frame.text if chart.has_title else ""
        plot = next(iter(chart.plots))
        series = list(plot.series)
        rows = [["", *(cell(str(each.name)) for each in series)]]
        for place, name in enumerate(plot.categories):
            values = [each.values[place] if place < len(each.values) else None for each in series]
            rows.append([cell(str(name)), *("" if v is None else f"{v:g}" for v in values)])
    except (*_FAULTS, StopIteration):
        lost["chart"] += 1
        return ""
    return joined([f"Chart: {one_line(title)}" if title else "Chart:", table(rows)])
