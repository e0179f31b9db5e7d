"""From a document to the request that is sent for it.

Whatever came from the document stands between tags it can't close, and the system prompt says
what those tags mean. The same recipe and document always give the same bytes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from shared.domain.caching import MARK_BYTES
from shared.domain.names import MAX_PATH_BYTES
from shared.domain.recipe import Recipe
from shared.domain.record import Record
from shared.domain.system_prompt import UNTRUSTED_NOTE, with_note
from shared.domain.template import (
    DOCUMENT_FIELDS,
    NONCE_CHARACTERS,
    OWN_NAMES,
    PromptError,
    PromptTemplate,
)
from shared.domain.template_tags import bare_prints

_WIDEST = 3
"""UTF-8 bytes that one byte of an older encoding becomes at most, as `\x80` of cp1252 does."""

_FENCE_BYTES = 2 * len("</data->") + 2 * NONCE_CHARACTERS + len("\n\n")
_CUSTOM_ID_BYTES = 64 + len('{"custom_id":"","params":}')


__all__ = [
    "UNTRUSTED_NOTE",
    "RenderError",
    "RenderInput",
    "Renderer",
    "largest_request",
    "request_params",
    "system_prompt",
]


class RenderError(Exception):
    """A document that its recipe's template can't take: a failure of this document only."""

    type: ClassVar[str] = "template_error"

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class RenderInput(Record, frozen=True, kw_only=True):
    """What a template gets to see of a document.

    `columns` are the row's, for a row of a manifest: plain data as JSON or CSV gives it.
    `digest` is the hex digest of the whole content.
    """

    name: str
    path: str
    text: str
    digest: str
    columns: Mapping[str, Any] | None = None


class Renderer:
    """Renders documents with one recipe; its template is compiled once."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._template = PromptTemplate(recipe.template, guard=recipe.guard)

    def render(self, document: RenderInput) -> str:
        """The prompt for `document`. Raises RenderError, with the recipe's line if it is known.

        Every column is a name of its own, but for `document` and `columns`, which are
        docmill's: `columns["document"]` reaches such a column.
        """
        columns = document.columns or {}
        values: dict[str, object] = {
            name: value for name, value in columns.items() if name not in OWN_NAMES
        }
        values["columns"] = columns
        values["document"] = {
            "text": document.text,
            "name": document.name,
            "path": document.path,
        }
        try:
            prompt = self._template.render(values, salt=self._salt(document).encode())
        except PromptError as fault:
            line = None if fault.line is None else self._recipe.template_line + fault.line - 1
            where = self._recipe.name if line is None else f"{self._recipe.name}:{line}"
            raise RenderError(f"{where}: {_explained(fault)}", line=line) from fault
        if not prompt.strip():
            raise RenderError(f"{self._recipe.name}: the prompt comes out empty")
        return prompt

    def _salt(self, document: RenderInput) -> str:
        """A digest of what gets into the prompt: rows that differ in other columns only, as in
        their ids, make the same prompt."""
        seen = None if document.columns is None else self._template.seen_of(document.columns)
        if seen is None:
            return document.digest
        fields = self._template.document_fields
        own = {name: getattr(document, name) for name in sorted(fields & set(DOCUMENT_FIELDS))}
        text = json.dumps([seen, own], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def system_prompt(recipe: Recipe) -> str:
    """The recipe's own system prompt, and below it what the data tags mean."""
    return with_note(recipe.system)


def request_params(recipe: Recipe, prompt: str) -> dict[str, Any]:
    """The Messages API parameters of one request, always in the same order of keys."""
    return {
        "model": recipe.model,
        "max_tokens": recipe.max_tokens,
        "system": system_prompt(recipe),
        "messages": [{"role": "user", "content": prompt}],
        **{key: recipe.params[key] for key in sorted(recipe.params)},
    }


def largest_request(recipe: Recipe) -> Callable[[int], int] | None:
    """How many bytes the request for a file of so many has at most, besides what JSON escapes;
    None where only rendering can tell."""
    printed = bare_prints(recipe.template)
    if printed is None:
        return None
    names = (printed["name"] + printed["path"]) * MAX_PATH_BYTES
    around = len(msgspec.json.encode(request_params(recipe, recipe.template)))
    around += MARK_BYTES if recipe.shared else 0
    fixed = around + names + printed.total() * _FENCE_BYTES + _CUSTOM_ID_BYTES
    widest = printed["text"] * _WIDEST
    return lambda size: fixed + widest * size


def _explained(fault: PromptError) -> str:
    match fault.kind:
        case "UndefinedError":
            return f"{fault}: the document has no such column or value"
        case "OutOfFuel":
            return "the template takes too much work on this document (out of fuel)"
        case _:
            return str(fault)
