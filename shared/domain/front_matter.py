"""The YAML head of a Markdown file, read as strictly as it can be.

Recipes come from folders and buckets that others write to: no tags, no anchors (so no document
that grows as it is read), no key twice, bounded size and depth; only what JSON can say.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from shared.domain.recipe_error import RecipeError

FENCE = "---"
MAX_HEAD_CHARACTERS = 64 * 1024  # ours: a large JSON schema for structured output fits
MAX_DEPTH = 32  # ours: PyYAML composes recursively
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The head's values, the line each key is on (`("params", "tools")` for inner ones), and
    the body with the line it begins on. Lines count from 1 in the whole file.

    Its methods give values by type; their errors name the file `name`, the line and the key.
    """

    name: str
    values: dict[str, Any]
    lines: Mapping[tuple[str, ...], int]
    body: str
    body_line: int

    def place(self, *key: str) -> str:
        line = self.lines.get(key)
        return f"{self.name}:{line}" if line else self.name

    def error(self, key: str, what: str) -> RecipeError:
        return RecipeError(f"{self.place(key)}: {key}: {what}")

    def get(self, key: str) -> Any:
        """Its value; None when the key is absent. A key without a value is a mistake."""
        value = self.values.get(key)
        if value is None and key in self.values:
            raise self.error(key, "has no value; give it one or remove the line")
        return value

    def integer(self, key: str, default: int, *, least: int, most: int) -> int:
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, f"{shown(value)} is not a whole number; write {key}: {default}")
        if not least <= value <= most:
            raise self.error(key, f"{shown(value)} is not within {least} to {most:,}; change it")
        return value

    def text(self, key: str, *, longest: int | None = None, one_line: bool = False) -> str | None:
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.error(key, f"{shown(value)} is not text; put it into quotes")
        if not value.strip():
            raise self.error(key, "is empty; give it a value or remove the line")
        if (longest and len(value) > longest) or (one_line and not value.isprintable()):
            raise self.error(key, f"takes one line of at most {longest} characters")
        return value.strip()


def shown(value: object) -> str:
    """`value` as a message can hold it: in one line, and not long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def split(text: str, *, name: str) -> FrontMatter:
    """The head and the body of `text`. Raises RecipeError, with the line, where it can't be."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[0].rstrip() != FENCE:
        raise RecipeError(
            f"{name}:1: no front matter; begin the file with a line ---, then keys such as "
            "'model: claude-opus-4-6', a line --- and the prompt"
        )
    end = next((i for i, line in enumerate(lines) if i and line.rstrip() == FENCE), None)
    if end is None:
        raise RecipeError(f"{name}:1: the front matter never ends; add a line --- below its keys")
    head = "\n".join(lines[1:end])
    if len(head) > MAX_HEAD_CHARACTERS:
        raise RecipeError(
            f"{name}:1: the front matter is longer than {MAX_HEAD_CHARACTERS:,} characters; "
            "move text from it into the prompt"
        )
    values, places = _load(head, name=name)
    return FrontMatter(
        name=name, values=values, lines=places, body="\n".join(lines[end + 1 :]), body_line=end + 2
    )


class _StrictLoader(yaml.SafeLoader):
    """Safe values only, from a document that says each thing once and where it stands."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _HeadError("no anchors or aliases (& and *) here; write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _HeadError("tags (!) are not allowed; quote text that begins with !", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _HeadError(f"nested deeper than {MAX_DEPTH} levels; flatten it", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        return node


class _HeadError(Exception):
    """What our own checks find, at the mark of a node or an event."""

    def __init__(self, what: str, at: Any) -> None:
        super().__init__(what)
        self.line: int = at.start_mark.line


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise _HeadError(f"the key {shown!r} is not text; quote it", key)
        if key.value in seen:
            raise _HeadError(f"the key {key.value!r} stands here twice; keep one", key)
        seen.add(key.value)


def _load(head: str, *, name: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The values and their lines; line 1 of the head is line 2 of the file."""
    try:
        loader = _StrictLoader(head)
        try:
            root = loader.get_single_node()
            values = loader.construct_document(root) if root else {}
        finally:
            loader.dispose()
    except _HeadError as error:
        raise RecipeError(f"{name}:{error.line + 2}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = mark.line + 2 if mark else 1
        raise RecipeError(f"{name}:{line}: not valid YAML: {problem}; correct it") from error
    except ValueError as error:  # a date or a number that is none, such as 2026-13-40
        raise RecipeError(f"{name}:1: not valid YAML: {error}; quote the value") from error
    if root is None:
        return {}, {}
    if not isinstance(root, yaml.MappingNode):
        raise RecipeError(f"{name}:2: the front matter has no keys; write 'key: value' lines")
    places = _lines(root)
    for key, value in values.items():
        fault = _not_json(value, key)
        if fault:
            raise RecipeError(f"{name}:{places[(key,)]}: {fault}")
    return values, places


def _lines(root: yaml.MappingNode) -> dict[tuple[str, ...], int]:
    """The file's line of every key, and of every key one level below."""
    places: dict[tuple[str, ...], int] = {}
    for key, value in root.value:
        places[(str(key.value),)] = key.start_mark.line + 2
        if isinstance(value, yaml.MappingNode):
            for inner, _ in value.value:
                places[str(key.value), str(inner.value)] = inner.start_mark.line + 2
    return places


def _not_json(value: object, where: str) -> str | None:
    """What JSON can't say in `value`; None when it can be sent as it is."""
    match value:
        case None | bool():
            return None
        case int():
            return None if abs(value) < 2**63 else f"{where}: a number beyond 64 bits can't be sent"
        case str():
            return (
                f"{where}: half a character (a surrogate); write it whole"
                if _SURROGATES.search(value)
                else None
            )
        case float():
            return None if math.isfinite(value) else f"{where}: {value} is no number to send"
        case list():
            faults = (_not_json(item, f"{where}[{i}]") for i, item in enumerate(value))
        case dict():
            pairs = (pair for key, item in value.items() for pair in ((key, key), (key, item)))
            faults = (_not_json(item, f"{where}.{key}") for key, item in pairs)
        case _:
            return f"{where}: a {type(value).__name__} can't be sent; put it into quotes"
    return next((fault for fault in faults if fault), None)
