"""Notebooks (ipynb): text, code, and what the code printed."""

import json
import re
from collections import Counter
from typing import Any, Final

from shared.adapters.converters.markdown import counted, fenced, joined
from shared.adapters.converters.packages import broken
from shared.domain.text import decode
from shared.ports.converter import Converted, Unconvertible

_MOST_OUTPUT: Final = 20_000
"""Characters of one cell's output: more is a log, or a table that nobody reads."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TEXTS: Final = ("text/markdown", "text/plain", "text/html")


def notebook(data: bytes) -> Converted:
    """An ipynb, also of the third format. Raises Unreadable or Unconvertible."""
    try:
        whole = json.loads(decode(data).text)
    except ValueError as error:
        raise broken(f"it is no JSON ({error})") from error
    sheets = whole.get("worksheets") if isinstance(whole, dict) else None
    held = sheets if isinstance(sheets, list) else [whole]
    cells = [c for s in held if isinstance(s, dict) for c in s.get("cells") or () if _is_cell(c)]
    if not cells:
        raise broken("it holds no cells of a notebook")
    lost: Counter[str] = Counter()
    language = _language(whole)
    text = joined([part for each in cells for part in _cell(each, language, lost)])
    if not text.strip():
        raise Unconvertible("empty_document", "the notebook's cells are empty")
    losses = (f"{counted(number, what)}" for what, number in lost.items())
    return Converted(text=text, losses=tuple(f"{loss} left out" for loss in losses))


def _is_cell(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("cell_type"), str)


def _language(whole: Any) -> str:
    about = whole.get("metadata") if isinstance(whole, dict) else None
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        found = about.get(key) if isinstance(about, dict) else None
        if isinstance(found, dict) and isinstance(found.get(name), str):
            return str(found[name])
    return ""


def _cell(each: dict[str, Any], language: str, lost: Counter[str]) -> list[str]:
    source = _text(each.get("source", each.get("input")))
    attached = each.get("attachments")
    if isinstance(attached, dict) and attached:
        lost["image"] += len(attached)
    match each["cell_type"]:
        case "code":
            outputs = each.get("outputs")
            made = [_output(o, lost) for o in outputs or () if isinstance(o, dict)]
            return [fenced(source, language) if source.strip() else "", *made]
        case "heading":
            return [f"{'#' * min(max(int(each.get('level') or 1), 1), 6)} {source}"]
        case "markdown":
            return [source]
        case _:
            return [fenced(source) if source.strip() else ""]


def _output(output: dict[str, Any], lost: Counter[str]) -> str:
    held = output.get("data") if isinstance(output.get("data"), dict) else output
    found = ""
    if output.get("output_type") in ("error", "pyerr"):
        found = _text(output.get("traceback"), "\n")
    elif "text" in output:
        found = _text(output["text"])
    elif isinstance(held, dict):
        if any(key.startswith("image/") or key in ("png", "jpeg", "svg") for key in held):
            lost["image"] += 1
        found = next((_text(held[kind]) for kind in _TEXTS if kind in held), "")
    found = _COLOURS.sub("", found)
    if len(found) > _MOST_OUTPUT:
        lost["end of a long output"] += 1
        found = found[:_MOST_OUTPUT] + "\n…"
    return joined(["Output:", fenced(found)]) if found.strip() else ""


def _text(value: object, between: str = "") -> str:
    if isinstance(value, list):
        return between.join(str(each) for each in value)
    return value if isinstance(value, str) else ""
