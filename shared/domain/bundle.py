"""Several texts as one document: each below its name, between fences that it can't close."""

import re
from collections.abc import Sequence
from typing import Final

from shared.domain.names import escaped

_TICKS: Final = re.compile(r"`{3,}")

_LONGEST_FENCE: Final = 30
"""A text of ticks alone must not make its fences longer than what it is counted as."""

ROOM: Final = 160
"""Characters at most that stand around a text, besides its escaped name, twice."""

HEAD_ROOM: Final = 3_000
"""Characters at most of a document's own head, besides the list of its parts."""


def fenced(name: str, text: str) -> str:
    """One text with its name above it."""
    longest = max((len(run) for run in _TICKS.findall(text)), default=2)
    ticks = "`" * min(1 + longest, _LONGEST_FENCE)
    end = "" if text.endswith("\n") else "\n"
    return f"## {escaped(name)}\n\n{ticks}\n{text}{end}{ticks}\n"


def bundle(title: str, parts: Sequence[tuple[str, str]], *, note: str = "") -> str:
    """The document: what it holds, what it doesn't, and each of the parts in the order given."""
    listing = "".join(f"- {escaped(name)} ({len(text):,} characters)\n" for name, text in parts)
    head = f"# {title}\n\n{listing}" + (f"\n{note}\n" if note else "")
    return "\n".join((head, *(fenced(name, text) for name, text in parts)))
