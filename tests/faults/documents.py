"""Documents that say inside which they are, so that what was sent tells what is paid for."""

import re
from pathlib import Path
from typing import Any

_MARK = re.compile(r"@@(?P<path>[^#@]+)#(?P<version>\d+)@@")
GROUPS = ("legal", "legal/old", "data", "ops", "web")
RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
---
Review this.

{{ document.text }}
"""


def text_of(path: str, version: int, *, size: int = 0) -> str:
    """One version of a document, `size` characters long at least."""
    return f"@@{path}#{version}@@\n" + "A line of the document.\n" * (size // 24)


def write(folder: Path, path: str, version: int, *, size: int = 0) -> None:
    """Put one version of a document where it lies, whole."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.write_text(text_of(path, version, size=size))
    part.replace(target)


def read_mark(request: dict[str, Any]) -> tuple[str, int]:
    """Which version of which document a request of a batch was made from."""
    found = _MARK.search(request["params"]["messages"][0]["content"])
    if found is None:
        raise AssertionError(f"a request of no document: {request}")
    return found["path"], int(found["version"])
