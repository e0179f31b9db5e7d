"""From a document to the request that is sent for it.

Whatever came from the document stands between tags it can't close, and the system prompt says
what those tags mean. The same recipe and document always give the same bytes.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from shared.domain.attachment import Attachment
from shared.domain.caching import MARK_BYTES
from shared.domain.names import MAX_PATH_BYTES
from shared.domain.numbered import numbered
from shared.domain.recipe import Recipe, own_words
from shared.domain.record import Record
from shared.domain.system_prompt import UNTRUSTED_NOTE, with_note
from shared.domain.template import (
    DOCUMENT_FIELDS,
    NONCE_CHARACTERS,
    OWN_NAMES,
    Own,
    PromptError,
    PromptTemplate,
    fence,
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
    `digest` is the hex digest of the whole content. `attachments` go before the prompt. `variant`
    is which of the recipe's values (`each`) it is rendered with.
    """

    name: str
    path: str
    text: str
    digest: str
    columns: Mapping[str, Any] | None = None
    attachments: tuple[Attachment, ...] = ()
    variant: str | None = None

    @property
    def numbered(self) -> str:
        """The text with its lines numbered."""
        return numbered(self.text)


class Renderer:
    """Renders documents with one recipe; its template is compiled once."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._template = PromptTemplate(recipe.template, guard=recipe.guard)
        self._own: dict[str | None, Own] = {}
        self._numbers = "numbered" in self._template.document_fields

    def render(self, document: RenderInput) -> str:
        """The prompt for `document`. Raises RenderError, with the recipe's line if it is known.

        Every column is a name of its own, but for `document` and `columns`, which are
        docmill's, and for what the recipe gives: `columns["document"]` reaches such a column.
        """
        own = self._own_of(document.variant)
        columns = document.columns or {}
        values: dict[str, object] = {
            name: value for name, value in columns.items() if name not in OWN_NAMES
        }
        values["columns"] = columns
        seen = {"text": document.text, "name": document.name, "path": document.path}
        if self._numbers:
            seen["numbered"] = document.numbered
        values["document"] = seen
        try:
            salt = self._salt(document, own).encode()
            prompt = self._template.render(values, salt=salt, own=own)
        except PromptError as fault:
            line = None if fault.line is None else self._recipe.template_line + fault.line - 1
            where = self._recipe.name if line is None else f"{self._recipe.name}:{line}"
            raise RenderError(f"{where}: {_explained(fault)}", line=line) from fault
        if not prompt.strip():
            raise RenderError(f"{self._recipe.name}: the prompt comes out empty")
        return prompt

    def _salt(self, document: RenderInput, own: Own) -> str:
        """A digest of what gets into the prompt: rows that differ in other columns only, as in
        their ids, make the same prompt."""
        seen = None if document.columns is None else self._template.seen_of(document.columns)
        if seen is None:
            return document.digest
        rest = {name: value for name, value in seen.items() if name not in own.values}
        fields = sorted(self._template.document_fields & set(DOCUMENT_FIELDS))
        facts = {name: getattr(document, name) for name in fields}
        text = json.dumps([rest, facts, dict(own.values)], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _own_of(self, variant: str | None) -> Own:
        """The recipe's own words for one of its values. Raises RenderError where it has no such."""
        if variant not in self._own:
            each = self._recipe.each
            if variant not in (each.values if each else (None,)):
                known = f"each {each.name}: {', '.join(each.values)}" if each else "no `each`"
                raise RenderError(
                    f"{self._recipe.name}: it has {known}, and this was taken in "
                    f"{'without' if variant is None else f'for {variant}'}; take it in anew"
                )
            self._own[variant] = own_words(self._recipe.form, self._recipe.each, variant)
        return self._own[variant]


def system_prompt(recipe: Recipe, *, attached: bool = False) -> str:
    """The recipe's own system prompt, and below it what the data tags mean, and attachments."""
    return with_note(recipe.system, attached=attached)


def request_params(
    recipe: Recipe, prompt: str, attachments: Sequence[Attachment] = ()
) -> dict[str, Any]:
    """The Messages API parameters of one request, always in the same order of keys.

    Without attachments the prompt is the message, as plain text.
    """
    content: str | list[dict[str, Any]] = prompt
    if attachments:
        content = [*_blocks(attachments), {"type": "text", "text": prompt}]
    return {
        "model": recipe.model,
        "max_tokens": recipe.max_tokens,
        "system": system_prompt(recipe, attached=bool(attachments)),
        "messages": [{"role": "user", "content": content}],
        **dict(sorted(recipe.sent_params.items())),
    }


def _blocks(attachments: Sequence[Attachment]) -> Iterator[dict[str, Any]]:
    """Documents bear their titles. Of several images each is named before it, fenced as a name
    that comes with a document."""
    images = sum(each.is_image for each in attachments)
    number = 0
    for each in attachments:
        if each.is_image and images > 1:
            number += 1
            yield {"type": "text", "text": f"Image {number}: {fence(each.title)}"}
        yield each.block()


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
