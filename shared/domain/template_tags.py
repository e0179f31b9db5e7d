"""A template's tags, looked through before minijinja reads them.

minijinja works through one expression, or one chain of branches, by calling itself without a
limit: 7,300 `elif` or 18,800 operators end the process (measured with 3.1.0 and a stack of 8 MB).
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

MAX_TAG_CHARACTERS: Final = 4_000
MAX_BRANCHES: Final = 1_000
TOO_COMPLEX: Final = (
    f"a tag has more than {MAX_TAG_CHARACTERS:,} characters besides quoted text, or there are more "
    f"than {MAX_BRANCHES:,} elif; make it shorter"
)

_OPENING: Final = re.compile(r"\{[{%#]")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_END_OF_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_BRANCH: Final = re.compile(r"\{%[-+]?\s*elif\b")
_PIECE: Final = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')"""
    r"""|(?P<opened>[(\[{])|(?P<closed>[)\]}])|[^"'()\[\]{}%]++|.""",
    re.DOTALL,
)


_TEXT: Final = r"""(?:"[^"\\]*"|'[^'\\]*')"""
_VALUE: Final = rf"(?:{_TEXT}|\w+(?:\.\w+|\[(?:\d+|{_TEXT})\])*)"
_FILTER: Final = (
    r"(?:\s*\|\s*(?:upper|lower|trim|title|capitalize|length|first|last|int|float|e|escape"
    rf"|(?:default|d)\(\s*{_VALUE}\s*\)))"
)
_TEST: Final = r"(?:\s+is\s+(?:not\s+)?(?:un)?defined)"
_OPERAND: Final = rf"(?:not\s+)*{_VALUE}{_FILTER}*{_TEST}?"
_CONDITION: Final = rf"{_OPERAND}(?:\s*(?:==|!=|<=?|>=?|\band\b|\bor\b|\bin\b)\s*{_OPERAND})*"
_PLAIN: Final = re.compile(
    rf"\{{\{{[-+]?\s*{_VALUE}{_FILTER}*\s*[-+]?\}}\}}"
    rf"|\{{%[-+]?\s*(?:(?:if|elif)\s+{_CONDITION}|else|endif|endfor"
    rf"|for\s+\w+(?:\s*,\s*\w+)?\s+in\s+{_VALUE})\s*[-+]?%\}}"
)
"""Tags that are rendered in this process. Whatever is not recognised isn't plain."""

_BARE: Final = re.compile(r"\{\{[-+]?\s*document\.(text|name|path)\s*[-+]?\}\}")
_BRANCHING: Final = re.compile(
    rf"\{{%[-+]?\s*(?:(?:if|elif)\s+{_CONDITION}|else|endif)\s*[-+]?%\}}"
)


def too_complex(source: str) -> int | None:
    """The line, from 1, of the first tag that minijinja can't be trusted with; None if there is
    none.

    Comments and raw blocks are no tags, and quoted text in a tag costs nothing.
    """
    branches = position = 0
    while opening := _OPENING.search(source, position):
        start, position = opening.span()
        if opening[0] == "{#":
            position = _behind(source.find("#}", position), 2, source)
        elif raw := _RAW.match(source, start):
            ending = _END_OF_RAW.search(source, raw.end())
            position = len(source) if ending is None else ending.end()
        else:
            branches += _BRANCH.match(source, start) is not None
            end = _end_of_tag(source, position, "}}" if opening[0] == "{{" else "%}")
            if end is None or branches > MAX_BRANCHES:
                return source.count("\n", 0, start) + 1
            position = end
    return None


def is_plain(source: str) -> bool:
    """Whether no value that the template makes can be much larger, or deeper, than the document's.

    Plain tags print, test and go through values; they call, add and assign nothing.
    """
    return all(_PLAIN.fullmatch(tag) for tag in _tags(source))


def bare_prints(source: str) -> Counter[str] | None:
    """How often it prints each field of the document at most, where it prints nothing else, and
    each as it is; None where that can't be told without rendering."""
    printed: Counter[str] = Counter()
    for tag in _tags(source):
        if bare := _BARE.fullmatch(tag):
            printed[bare[1]] += 1
        elif not _BRANCHING.fullmatch(tag):
            return None
    return printed


def always_prints_path(source: str) -> bool:
    """Whether each document's path stands in its prompt, whatever it holds: no two are the same.

    False where that can't be told without rendering.
    """
    depth = 0
    for tag in _tags(source):
        bare = _BARE.fullmatch(tag)
        if bare and bare[1] == "path" and depth == 0:
            return True
        if tag.startswith("{%"):
            if not _BRANCHING.fullmatch(tag):
                return False
            word = tag.strip("{%-+ \n\t").split(maxsplit=1)[0].strip("%}-+")
            depth += (word == "if") - (word == "endif")
    return False


def _tags(source: str) -> Iterator[str]:
    position = 0
    while opening := _OPENING.search(source, position):
        start, position = opening.span()
        if opening[0] == "{#":
            position = _behind(source.find("#}", position), 2, source)
        elif raw := _RAW.match(source, start):
            ending = _END_OF_RAW.search(source, raw.end())
            position = len(source) if ending is None else ending.end()
        else:
            end = _end_of_tag(source, position, "}}" if opening[0] == "{{" else "%}")
            position = len(source) if end is None else end
            yield source[start:position]


def _end_of_tag(source: str, position: int, closing: str) -> int | None:
    """Where the tag ends, as minijinja sees it: at its closing outside of brackets and quotes.

    None when it is too long. One that never ends is an error of minijinja's own.
    """
    depth = size = 0
    while size <= MAX_TAG_CHARACTERS:
        if depth == 0 and source.startswith(closing, position):
            return position + len(closing)
        piece = _PIECE.match(source, position)
        if piece is None:
            return position
        depth += (piece["opened"] is not None) - (piece["closed"] is not None)
        size += 0 if piece["quoted"] else len(piece[0])
        position = piece.end()
    return None


def _behind(found: int, length: int, source: str) -> int:
    return len(source) if found < 0 else found + length
