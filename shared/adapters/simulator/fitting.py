"""Answers that fit a schema, made up by hashing: the same prompt gets the same answer.

Constraints that the API doesn't take stand in descriptions, as the SDK and docmill write them
(`{minimum: 0, maximum: 100}`), and like a model that reads them this keeps to them.
"""

import hashlib
import re
from collections.abc import Mapping
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as patterns  # type: ignore[attr-defined]
from typing import Any, Final

REPORT: Final = "report"
_WORDS: Final = (
    *("placeholder", "sample", "stand-in", "example", "made-up", "simulated"),
    *("specimen", "draft", "dummy", "mock"),
)
_MOST_ITEMS: Final = 3
_SHARES: Final = 20
"""So finely numbers between two limits are drawn."""

_SAID: Final = re.compile(r"(?:^|\n\n)\{(.*)\}$", re.DOTALL)
_LIMIT: Final = re.compile(r"(\w+): (-?\d+(?:\.\d+)?)(?=, \w+: |$)")
_PATTERN: Final = re.compile(r"(?:^|, )pattern: (.*?)(?=, (?:minLength|maxLength|examples): |$)")
_ANYTHING: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


class Fitting:
    """Draws for one prompt. Each place of an answer has draws of its own."""

    def __init__(self, seed: str, report: str) -> None:
        self._seed = seed
        self._report = report

    def value(self, schema: Mapping[str, Any], place: str = "") -> Any:
        """A value that fits what the schema and its description say."""
        if "const" in schema:
            return schema["const"]
        for key in ("enum", "anyOf"):
            if key in schema:
                chosen = schema[key][self._below(len(schema[key]), place)]
                return chosen if key == "enum" else self.value(chosen, place)
        match schema.get("type"):
            case "object":
                return {
                    name: self._report
                    if not place and name == REPORT
                    else self.value(one, f"{place}.{name}")
                    for name, one in schema.get("properties", {}).items()
                }
            case "array":
                return self._list(schema, place)
            case "boolean":
                return self._below(2, place) == 1
            case "null":
                return None
            case "integer" | "number" as kind:
                return self._number(kind, _limits(schema), place)
            case _:
                return self._text(schema, place)

    def _below(self, most: int, place: str) -> int:
        text = f"{self._seed}\0{place}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) % most

    def _list(self, schema: Mapping[str, Any], place: str) -> list[Any]:
        limits = _limits(schema)
        least = int(limits.get("minItems", schema.get("minItems", 0)))
        most = int(limits.get("maxItems", least + _MOST_ITEMS))
        length = least + self._below(max(1, most - least + 1), f"{place}#")
        made: list[Any] = []
        for number in range(length * 4):  # some may be alike
            one = self.value(schema.get("items", {}), f"{place}[{number}]")
            if len(made) < length and one not in made:
                made.append(one)
        return made if len(made) >= least else made + made[:1] * (least - len(made))

    def _number(self, kind: str, limits: Mapping[str, float], place: str) -> int | float:
        step = limits.get("multipleOf", 1)
        low = limits.get("minimum", limits.get("exclusiveMinimum", 0))
        high = limits.get("maximum", limits.get("exclusiveMaximum", low + 100 * step))
        if "minimum" not in limits and "exclusiveMinimum" not in limits:
            low = min(low, high - 100 * step)
        above, below = limits.get("exclusiveMinimum") == low, limits.get("exclusiveMaximum") == high
        if kind == "number" and "multipleOf" not in limits:
            share = above + self._below(_SHARES + 1 - above - below, place)
            return low + (high - low) * share / _SHARES
        first, last = -(-low // step) + above, high // step - below
        drawn = (first + self._below(int(max(0, last - first)) + 1, place)) * step
        return int(drawn) if kind == "integer" else drawn

    def _text(self, schema: Mapping[str, Any], place: str) -> str:
        drawn = self._below(10_000, place)
        if "format" in schema:
            return _formatted(schema["format"], drawn)
        said = _said(schema)
        if (found := _PATTERN.search(said)) is not None:
            return self._matching(patterns.parse(found[1]), place)
        limits = _limits(schema)
        text = f"{_WORDS[drawn % len(_WORDS)]} {drawn}"
        least, most = int(limits.get("minLength", 0)), int(limits.get("maxLength", 200))
        return (text * (least // len(text) + 1))[: max(least, min(most, len(text)))]

    def _matching(self, parsed: Any, place: str) -> str:
        """A text that a plain pattern matches: characters, classes, groups, repeats, branches."""
        made = []
        for number, (op, found) in enumerate(parsed):
            at = f"{place}/{number}"
            match op:
                case ops.LITERAL:
                    made.append(chr(found))
                case ops.IN:
                    made.append(self._one_of(found, at))
                case ops.MAX_REPEAT | ops.MIN_REPEAT:
                    low, high, inner = found
                    times = low + self._below(max(1, min(int(high), low + 3) - low + 1), at)
                    made += [self._matching(inner, f"{at}*{each}") for each in range(times)]
                case ops.SUBPATTERN:
                    made.append(self._matching(found[-1], at))
                case ops.BRANCH:
                    made.append(self._matching(found[1][self._below(len(found[1]), at)], at))
                case ops.AT:
                    continue
                case _:
                    made.append(_ANYTHING[self._below(len(_ANYTHING), at)])
        return "".join(made)

    def _one_of(self, found: Any, place: str) -> str:
        negated = found[0][0] is ops.NEGATE
        chars: list[str] = []
        for op, value in found:
            match op:
                case ops.LITERAL:
                    chars.append(chr(value))
                case ops.RANGE:
                    chars += map(chr, range(value[0], min(value[1], value[0] + 100) + 1))
                case ops.CATEGORY:
                    chars += _CATEGORIES.get(str(value), " ")
                case _:
                    continue
        if negated:
            chars = [char for char in _ANYTHING + "ABC-_ .,:;" if char not in chars]
        return chars[self._below(len(chars), place)]


_CATEGORIES: Final = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": _ANYTHING,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "abc",
    "CATEGORY_NOT_SPACE": _ANYTHING,
    "CATEGORY_NOT_WORD": " -.",
}


def _said(schema: Mapping[str, Any]) -> str:
    found = _SAID.search(str(schema.get("description", "")))
    return found[1] if found else ""


def _limits(schema: Mapping[str, Any]) -> dict[str, float]:
    return {key: _exact(value) for key, value in _LIMIT.findall(_said(schema))}


def _exact(text: str) -> float:
    return float(text) if "." in text else int(text)


def _formatted(kind: str, drawn: int) -> str:
    day, host = f"2026-{drawn % 12 + 1:02d}-{drawn % 28 + 1:02d}", f"host{drawn}.example"
    clock = f"{drawn % 24:02d}:{drawn % 60:02d}:00Z"
    return {
        "date": day,
        "date-time": f"{day}T{clock}",
        "time": clock,
        "duration": f"P{drawn % 30 + 1}D",
        "email": f"somebody@{host}",
        "hostname": host,
        "uri": f"https://{host}/",
        "ipv4": f"192.0.2.{drawn % 256}",
        "ipv6": f"2001:db8::{drawn % 9999:x}",
        "uuid": f"00000000-0000-4000-8000-{drawn:012d}",
    }.get(kind, f"{_WORDS[drawn % len(_WORDS)]} {drawn}")
