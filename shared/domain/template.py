"""Prompt templates: minijinja set up so that data stays data.

Whatever an expression prints is fenced by the finalizer, after all filters and inside all
loops, while conditions see the raw value. The engine gets plain values only and no functions of
ours, so there is no way into Python; fuel, by the size of the document, bounds time and memory.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

from minijinja import Environment, TemplateError, safe

from shared.domain.template_tags import TOO_COMPLEX, bare_prints, is_plain, too_complex

# One unit is one instruction, or 64 bytes of text made (measured with 3.1.0). All of it is enough
# to go through 5 MB word by word with a condition (7 million), and takes seconds, 8 where much is
# printed. So a template gets what suits the document at hand, or 10,000 small ones that it can't
# take would fail for most of a day: going through text by character takes 7 units of each, through
# rows that print three cells 29 of each row, which counts as 4 values and their text. Text that
# doubles in a loop stops below 0.5 GB, the process below 1 GB.
FUEL = 8_000_000
FUEL_AT_LEAST = 250_000
FUEL_PER_CHARACTER = 10
INLINE_CHARACTERS = 200
NONCE_CHARACTERS = 16
OWN_NAMES = frozenset({"document", "columns"})
DOCUMENT_FIELDS = ("text", "name", "path", "numbered")

_BUILT_IN_NAMES = frozenset({"range", "dict", "namespace", "cycler", "joiner"})
_CONTEXT_NAMES = frozenset({"loop", "caller", "self", "super"})
_TEMPLATE = "prompt"
_OPTIONAL = re.compile(r"\b(\w+)\s*(?:is\s+(?:not\s+)?(?:un)?defined\b|\|\s*(?:default|d)\b)")
_LONGEST_FAULT = 300  # ours: minijinja quotes what it complains of, up to a whole document

# Python's own complaints come through minijinja unchanged: a method that a value lacks, a value
# of a type that can't be printed.
_FAULTS = (
    TemplateError,
    *(AttributeError, TypeError, ValueError, LookupError, OverflowError),
    *(MemoryError, RecursionError),
)

_salt: ContextVar[bytes] = ContextVar("salt", default=b"")
_unfenced: ContextVar[frozenset[str]] = ContextVar("unfenced", default=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Values that a recipe itself gives to its prompt. They are printed as they are: whoever wrote
    the template wrote them too. `texts` is how each of them, and each part, is printed."""

    values: Mapping[str, object] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "Own":
        """These values, and how they are printed."""
        return cls(values=values, texts=frozenset(_texts(tuple(values.values()))))


NOTHING = Own()


class PromptError(Exception):
    """A template that can't be read or rendered: `kind` is minijinja's, `line` counts from 1."""

    def __init__(self, message: str, *, kind: str, line: int | None) -> None:
        super().__init__(message)
        self.kind = kind
        self.line = line


def fence(value: str, salt: bytes = b"") -> str:
    """`value` between tags that it can't close: their nonce is a hash of it.

    Short values stay in their line, longer ones get lines of their own. `salt` keeps the nonces
    of one document from being told from its other, known parts (its name, say).
    """
    content = value.encode("utf-8", "replace")
    nonce = hashlib.sha256(salt + content).hexdigest()[:NONCE_CHARACTERS]
    again = 0
    while nonce in value:
        again += 1
        nonce = hashlib.sha256(b"%d:%b%b" % (again, salt, content)).hexdigest()[:NONCE_CHARACTERS]
    if len(value) <= INLINE_CHARACTERS and "\n" not in value and "\r" not in value:
        return f"<data-{nonce}>{value}</data-{nonce}>"
    last = "" if value.endswith("\n") else "\n"
    return f"<data-{nonce}>\n{value}{last}</data-{nonce}>"


Guard = Callable[[str, Mapping[str, object], bytes, Own], str]
"""Renders a template's source elsewhere, where it may do no harm: with its values, its salt, and
the recipe's own values."""


class PromptTemplate:
    """A template that parses. Raises PromptError where it does not.

    What isn't plain is rendered by `guard`, if there is one: fuel bounds what a template does, not
    how large or how deep the values get that it makes.
    """

    def __init__(self, source: str, *, guard: Guard | None = None) -> None:
        self._guard = None if guard is None or is_plain(source) else guard
        self._environment = Environment(
            undefined_behavior="strict",
            fuel=FUEL,
            finalizer=_fenced,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.remove_global("debug")
        if (line := too_complex(source)) is not None:
            raise PromptError(TOO_COMPLEX, kind="TooComplex", line=line)
        try:
            self._environment.add_template(_TEMPLATE, source)
            self._references = self._environment.undeclared_variables_in_template(
                _TEMPLATE, nested=True
            )
        except _FAULTS as error:
            raise _told(error) from error
        self._source = source
        self._only_prints = bare_prints(source) is not None

    def render(self, values: Mapping[str, object], *, salt: bytes, own: Own = NOTHING) -> str:
        """The text for these values; the recipe's own win. Raises PromptError."""
        if self._guard is not None:
            return self._guard(self._source, values, salt, own)
        token, words = _salt.set(salt), _unfenced.set(own.texts)
        try:
            plain = {name: _plain(value) for name, value in {**values, **own.values}.items()}
            if not self._only_prints:
                size = len(self._source) + _size(values) + _size(own.values)
                self._environment.fuel = _fuel(size)
            return self._environment.render_template(_TEMPLATE, **plain)
        except _FAULTS as error:
            raise _told(error) from error
        finally:
            _unfenced.reset(words)
            _salt.reset(token)

    @property
    def columns(self) -> frozenset[str]:
        """The columns it refers to, by name or as `columns.name`."""
        names = set()
        for first, *rest in (reference.split(".") for reference in self._references):
            if first == "columns" and rest:
                names.add(rest[0])
            elif first not in OWN_NAMES | _BUILT_IN_NAMES | _CONTEXT_NAMES:
                names.add(first)
        return frozenset(names)

    @property
    def needed_columns(self) -> frozenset[str]:
        """The columns it can't do without: those it neither tests nor gives a default."""
        return self.columns - set(_OPTIONAL.findall(self._source))

    @property
    def document_fields(self) -> frozenset[str]:
        """What it takes of `document`, by dotted name."""
        parts = (reference.split(".") for reference in self._references)
        return frozenset(rest[0] for first, *rest in parts if first == "document" and rest)

    def seen_of(self, columns: Mapping[str, object]) -> Mapping[str, object] | None:
        """Those of a row's columns that it can see; None where it may see any."""
        if OWN_NAMES & self._references:
            return None
        return {name: columns[name] for name in sorted(self.columns) if name in columns}

    def reads_document(self, *, besides: Collection[str] = ()) -> bool:
        """Whether anything of the document gets into the prompt at all, besides what the recipe
        gives."""
        names = {reference.split(".")[0] for reference in self._references}
        return bool(self.columns.difference(besides) or names & OWN_NAMES)


def _told(error: Exception) -> PromptError:
    if isinstance(error, TemplateError):
        what = error.detail or error.message.rsplit(" (in ", 1)[0]
        return PromptError(_one_line(what), kind=error.kind, line=error.line)
    name = type(error).__name__
    return PromptError(_one_line(str(error)) or name, kind=name, line=None)


def _one_line(text: str) -> str:
    line = " ".join(text[: 2 * _LONGEST_FAULT].split())
    return line if len(line) <= _LONGEST_FAULT else line[: _LONGEST_FAULT - 1] + "…"


def _fenced(value: object) -> str:
    """minijinja's finalizer; marked safe so that an autoescape block can't take the tags apart.

    What the recipe says word for word needs no fence, wherever it was found.
    """
    text = _text(value)
    return safe(text if text in _unfenced.get() else fence(text, _salt.get()))


def _texts(value: object) -> Iterator[str]:
    """How a value of the recipe's, and every part of it, is printed."""
    match value:
        case Mapping():
            parts: Iterable[object] = (*value, *value.values())
        case list() | tuple():
            parts = value
        case _:
            parts = ()
    if value not in (None, ""):
        yield _text(value)
    for part in parts:
        yield from _texts(part)


def _fuel(size: int) -> int:
    """How much a template may do for values of this size, its own included."""
    return min(FUEL_AT_LEAST + size * FUEL_PER_CHARACTER, FUEL)


def _size(value: object) -> int:
    """Characters of text, and one for each value."""
    match value:
        case str():
            return 1 + len(value)
        case Mapping():
            return 1 + sum(_size(item) for item in value.values())
        case list() | tuple():
            return 1 + sum(map(_size, value))
        case _:
            return 1


def _text(value: object) -> str:
    """Text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=_jsonable)


def _jsonable(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if callable(value):
        raise TypeError("a method without its parentheses can't be printed; call it")
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"a {type(value).__name__} can't be printed")


def _plain(value: object) -> object:
    """`value` as the template may have it: nothing it could change, nothing it could call."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case None | bool() | int() | float():
            return value
        case dict() | Mapping():
            return MappingProxyType({str(key): _plain(item) for key, item in value.items()})
        case list() | tuple():
            return tuple(_plain(item) for item in value)
        case _:
            raise TypeError(f"a {type(value).__name__} is no plain data")
