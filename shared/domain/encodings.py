"""Which encoding some bytes that are no UTF-8 are written in: known for certain, or not said.

Most old encodings accept any bytes. What tells them apart is the text they give: each candidate's
reading must look like one that somebody wrote, and all readings that do must be the same.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Final

from shared.domain.encodings_plausible import (
    CANDIDATES,
    TWO_BYTES,
    has_evidence,
    is_clean,
    oddity,
    only_borrowed_words,
    raises_doubt,
)

_SAMPLE_BYTES: Final = 16_384
_LINE_BYTES: Final = 8_192
"""Detection looks at this much of the text at most, so that 50 MB of garbage cost no more."""

_CLEARLY_MORE_CHAOS: Final = 0.08
"""charset-normalizer's measure of mess (0 to 1): between a right and a wrong reading of the same
bytes it differed by 0.11 or more in trials, between two likely ones by less than 0.06."""

_CLEARLY_ODDER: Final = 3
"""So many times the oddities of the right reading, and one, a wrong one must have."""

_WIDE: Final = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_LEAST_ASCII_SHARE: Final = 0.1
_LEAST_WIDE_BYTES: Final = 8

_SAME_BUT_FOR_MORE: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""What is meant by a declared name, as browsers read it (WHATWG Encoding Standard, 4.2)."""

_DECLARED_WITHIN: Final = 2_048
_DECLARATIONS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rb"\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)",
        rb"<meta\b[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]+)",
        rb"\A@charset\s+\"([\w.:-]+)\"",
        rb"\A(?:[^\n]*\n)?[ \t\f]*(?:#|//|;|%|\.\.|<!--)[^\n]{0,200}?coding[=:][ \t]*([\w.-]+)",
    )
)
_HIGH: Final = re.compile(rb"[\x80-\xff]")


def wide_encoding(data: bytes) -> str | None:
    """The UTF-16 or UTF-32 without a mark that data with NUL bytes is certainly written in.

    Certain is: all of it decodes to clean text, and enough of that is ASCII, whose NULs stand on
    one side only.
    """
    if len(data) < _LEAST_WIDE_BYTES:
        return None
    for encoding in _WIDE:
        sample = data[:_SAMPLE_BYTES]
        text = _decoded(sample, encoding)
        if not text or not is_clean(text):
            continue
        if sum(char < "\x7f" for char in text) < len(text) * _LEAST_ASCII_SHARE:
            continue
        whole = _whole(data, encoding)
        if whole is not None and is_clean(whole):
            return encoding
    return None


def declared_encoding(data: bytes) -> str | None:
    """What an XML, HTML, CSS or source file says of itself at its top, if that proves true."""
    head = data[:_DECLARED_WITHIN]
    for pattern in _DECLARATIONS:
        found = pattern.search(head)
        if found is None:
            continue
        try:
            name = codecs.lookup(found[1].decode("ascii", "replace")).name
        except LookupError:
            continue
        encoding = _SAME_BUT_FOR_MORE.get(name, name.replace("-", "_"))
        text = _whole(data, encoding) if encoding in CANDIDATES else None
        if text is not None and is_clean(text):
            return encoding
    return None


def detect(data: bytes) -> str | None:
    """The one encoding that makes these bytes, which are no UTF-8, a text; None if unsure."""
    sample = b"\n".join(_telling_lines(data))
    readings: dict[str, list[str]] = {}
    odd: dict[str, int] = {}
    for encoding in CANDIDATES:
        text = _decoded(sample, encoding)
        count = oddity(text, encoding) if text else None
        if text and count is not None and raises_doubt(text, encoding):
            readings.setdefault(text, []).append(encoding)
            odd[text] = min(count, odd.get(text, count))
    text = _clearest(readings, odd)
    encodings = readings[text] if text is not None else []
    if text is None or not any(has_evidence(text, encoding) for encoding in encodings):
        return None
    return _agreed(data, encodings)


def _agreed(data: bytes, encodings: list[str]) -> str | None:
    """The first of them that decodes all of the data, unless others then read it differently."""
    agreed: str | None = None
    first = ""
    for encoding in encodings:
        whole = _whole(data, encoding)
        if whole is None:
            continue
        if agreed is None:
            agreed, first = encoding, whole
        elif whole != first:
            return None
    return agreed if is_clean(first) else None


def _clearest(readings: dict[str, list[str]], odd: dict[str, int]) -> str | None:
    """The only reading, the one with known words, or one that all others are far behind."""
    known = [text for text in readings if only_borrowed_words(text)]
    if len(readings) <= 1 or len(known) == 1:
        return next(iter(known or readings), None)
    if not any(readings[text][0] in TWO_BYTES for text in readings):
        ranked = sorted((count, text) for text, count in odd.items())
        clear = ranked[1][0] >= _CLEARLY_ODDER * (ranked[0][0] + 1)
        return ranked[0][1] if clear else None
    measured = sorted((_chaos(text, readings[text][0]), text) for text in readings)
    best = measured[0][1]
    clear = measured[1][0] - measured[0][0] >= _CLEARLY_MORE_CHAOS
    return best if clear and readings[best][0] in TWO_BYTES else None


def _chaos(text: str, encoding: str) -> float:
    from charset_normalizer import from_bytes  # noqa: PLC0415 - slow to import, and rarely needed

    best = from_bytes(text.encode(encoding), cp_isolation=[encoding]).best()
    return best.chaos if best is not None else 1.0


def _telling_lines(data: bytes) -> Iterator[bytes]:
    """The lines that hold more than ASCII, each from its beginning, where every encoding of the
    candidates stands at the edge of a character."""
    position = total = 0
    while total < _SAMPLE_BYTES:
        high = _HIGH.search(data, position)
        if high is None:
            return
        begin = max(data.rfind(b"\n", 0, high.start()) + 1, high.start() - _LINE_BYTES // 2)
        end = data.find(b"\n", high.start())
        position = len(data) if end < 0 else end
        line = data[begin : min(position, begin + _LINE_BYTES)]
        total += len(line)
        yield line


def _decoded(sample: bytes, encoding: str) -> str | None:
    """The sample's text; a character cut off at its end is no fault."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return None


def _whole(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
