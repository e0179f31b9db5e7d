"""Names from outside become paths, custom ids and log lines only through here.

A name is either kept exactly as it is or refused with a reason; it is never repaired, because two
repaired names could meet on one path.
"""

import re
import unicodedata
from hashlib import sha256
from typing import Final

MAX_SEGMENT_BYTES: Final = 200
"""File systems allow 255 bytes; the rest is for a report's suffix and that of a temporary file."""

MAX_PATH_BYTES: Final = 900
MAX_JOB_BYTES: Final = 118
"""S3 allows keys of 1,024 bytes: a job, a slash, a path and a report's suffix are no more."""

REPORT_SUFFIX: Final = ".md"
REPORT_SUFFIXES: Final = (REPORT_SUFFIX, ".json", ".txt", ".html")
"""What reports' names end in. None ends in another, so reports of two documents never meet."""

TABLES: Final = ("results.csv", "results.parquet", "results.jsonl")

CONFUSION: Final = "confusion.csv"

RESERVED: Final = frozenset({".docmill", "failures.jsonl", "summary.json", *TABLES, CONFUSION})
"""What the output holds at its top beside reports: no document may lie *below* a folder of such a
name, and no report may have one (`summary.json`, of a document `summary`)."""

MAX_QUOTED_CHARS: Final = 120
"""A name in a message is cut here: a hostile one must not fill the log."""

_BIDI: Final = "\u202a-\u202e\u2066-\u2069"
_UNPRINTABLE: Final = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_UNSAFE: Final = re.compile(f"[{_UNPRINTABLE}{_BIDI}]")
_IS_BIDI: Final = re.compile(f"[{_BIDI}]")
_NOT_IN_A_SLUG: Final = re.compile("[^A-Za-z0-9_]+")
_LIKE_ESCAPED: Final = re.compile(r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4})")
_DIGEST_CHARS: Final = 16

_LETTERS: Final = (
    "ß ss|ẞ SS|æ ae|Æ AE|œ oe|Œ OE|ø o|Ø O|ł l|Ł L|đ d|Đ D|ð d|Ð D|þ th|Þ Th"
    "|\N{LATIN SMALL LETTER DOTLESS I} i"
)
_FOLDED: Final = str.maketrans(dict(pair.split(" ") for pair in _LETTERS.split("|")))
"""Latin letters that NFKD leaves whole."""


class InvalidName(ValueError):
    """This name may not become a path below the output; `message` is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def hides(part: str) -> bool:
    """Whether a part of a path hides what lies there; `.` and `..` are no names."""
    return part.startswith(".") and bool(part.strip("."))


def check_path(path: str) -> None:
    """Raise `InvalidName` unless `path` names one place below the output, on any system.

    Segments are separated by `/`. Accents, CJK, quotes, spaces and emoji are fine.
    """
    fault = _fault(path)
    if fault is not None:
        raise InvalidName(f"the name {_quoted(path)} can't be used: {fault}")


def check_job(name: str) -> None:
    """Raise `InvalidName` unless every path of a job of this name has a place in a bucket."""
    fault = _fault(name)
    if fault is None and len(name.encode()) > MAX_JOB_BYTES:
        fault = f"it is longer than {MAX_JOB_BYTES} bytes"
    if fault is not None:
        raise InvalidName(f"the job's name {_quoted(name)} can't be used: {fault}")


def stand_in(name: str) -> str:
    """What a name that may not become a path is called where its failure is told.

    One printable line of at most `MAX_PATH_BYTES`, another one for another name.
    """
    shown = escaped(name)
    if len(shown.encode()) <= MAX_PATH_BYTES and not _LIKE_ESCAPED.search(name):
        return shown
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    cut = shown.encode()[: MAX_PATH_BYTES - _DIGEST_CHARS - 1].decode(errors="ignore")
    return f"{cut}~{digest}"


def report_path(path: str, suffix: str = REPORT_SUFFIX) -> str:
    """Where the report of the document at `path` goes: its whole name is kept, so none can meet."""
    return path + suffix


def slug(name: str, limit: int) -> str:
    """At most `limit` letters, digits, `_` and `-` that recall `name`; never empty.

    Not unique by itself: whoever needs that adds to it.
    """
    if limit < 1:
        raise ValueError(f"a slug needs room for at least one character, not {limit}")
    if not name.isascii():
        decomposed = unicodedata.normalize("NFKD", name.translate(_FOLDED))
        name = "".join(char for char in decomposed if not unicodedata.combining(char))
    joined = _NOT_IN_A_SLUG.sub("-", name).strip("-")
    return joined[:limit].rstrip("-") or "doc"[:limit]


def escaped(text: str) -> str:
    """The same text, safe on one line of a terminal or a log.

    Control characters, line separators, lone surrogates and those that turn the writing direction
    become `\\n`, `\\x1b`, `\\u202e`; all else stays.
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _fault(path: str) -> str | None:
    if not path:
        return "it is empty"
    if unsafe := _UNSAFE.search(path):
        return _unsafe_character(unsafe[0])
    if "\\" in path:
        return "it contains a backslash, which separates folders on other systems"
    if path.startswith("/"):
        return "it is absolute; names are relative to the input"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"it is {len(path.encode())} bytes long; at most {MAX_PATH_BYTES} are allowed"
    segments = path.split("/")
    for segment in segments:
        if segment in {"", ".", ".."}:
            return f'it contains the segment "{segment}"' if segment else "it has an empty segment"
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            return f"a part of it is longer than {MAX_SEGMENT_BYTES} bytes"
    # Case-blind file systems would lead `.DOCMILL/x` into the state as well.
    if len(segments) > 1 and segments[0].casefold() in RESERVED:
        return f'the output keeps "{segments[0].casefold()}" for itself'
    return None


def _unsafe_character(char: str) -> str:
    code = f"U+{ord(char):04X}"
    if "\ud800" <= char <= "\udfff":
        return f"it contains {code}, half of a character: it was not valid Unicode"
    if _IS_BIDI.match(char):
        return f"it contains {code}, which changes the direction of writing"
    return f"it contains the control character {code}"


def _quoted(name: str) -> str:
    shown = name if len(name) <= MAX_QUOTED_CHARS else name[:MAX_QUOTED_CHARS] + "…"
    return f'"{escaped(shown)}"'
