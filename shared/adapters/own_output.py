"""An output of docmill as the input of another run: its reports are documents, no other files."""

import os
from functools import lru_cache
from typing import Final

from shared.domain.digest import DIGEST_RECIPE
from shared.domain.names import RESERVED

STATE_FOLDER: Final = ".docmill"
PAGE: Final = "compare.html"
_AT_TOP: Final = RESERVED | {PAGE}
_CACHED: Final = 10_000


def is_own_file(key: str) -> bool:
    """Whether docmill wrote the file beside reports: a path that begins without its slash."""
    folder, _, name = key.rpartition("/")
    if name in _AT_TOP:
        return _is_output("/" + folder)
    return name == DIGEST_RECIPE and _within_output("/" + folder)


def own_files(folder: str) -> list[str]:
    """The names of docmill's own files in an absolute folder."""
    names = sorted({*_AT_TOP, DIGEST_RECIPE} - {STATE_FOLDER})
    if not _within_output(folder):
        return []
    return [
        name
        for name in names
        if os.path.isfile(f"{folder}/{name}") and is_own_file(f"{folder}/{name}".lstrip("/"))  # noqa: PTH113 - one of many
    ]


@lru_cache(maxsize=_CACHED)
def _is_output(folder: str) -> bool:
    return os.path.isdir(f"{folder}/{STATE_FOLDER}")  # noqa: PTH112 - paths are text here


def _within_output(folder: str) -> bool:
    while folder.strip("/"):
        if _is_output(folder):
            return True
        folder = folder.rpartition("/")[0]
    return False
