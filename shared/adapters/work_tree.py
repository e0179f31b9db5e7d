"""Git work trees in the input: what is walked past, and what is said of it.

Folders that are left out are never entered, so what Git ignores costs nothing to list.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from shared.domain.gitignore import MAX_BYTES, NAME, Ignored
from shared.domain.left_out import IGNORED, LeftOut, is_hidden, needless


def is_work_tree(folder: Path) -> bool:
    """Whether Git has checked out the folder; `.git` is a file in a linked one."""
    return (folder / ".git").exists()


class WorkTrees:
    """The work trees among some folders; called with a path that begins without its slash, one of a
    folder ends in one."""

    def __init__(self, folders: Collection[Path]) -> None:
        roots = [folder.resolve() for folder in folders if is_work_tree(folder)]
        self._ignored = {f"{root}/".lstrip("/"): Ignored(_reader(root)) for root in roots}

    def __call__(self, key: str) -> bool:
        """Whether it is to be walked past."""
        return self._why(key) is not None

    def _why(self, key: str) -> str | None:
        for root, ignored in self._ignored.items():
            if key.startswith(root) and key != root:
                path = key[len(root) :]
                return needless(path) or (IGNORED if ignored(path) else None)
        return None

    def left_out(self) -> dict[str, LeftOut]:
        """What is walked past in each, files and folders; hidden ones are not counted."""
        return {f"/{root.rstrip('/')}": self._counted(root) for root in self._ignored}

    def _counted(self, root: str) -> LeftOut:
        found = LeftOut()
        for folder, folders, files in os.walk("/" + root):
            below = f"{folder.rstrip('/')}/".lstrip("/")
            for name in [*(f"{each}/" for each in folders), *files]:
                if not is_hidden(name) and (why := self._why(below + name)) is not None:
                    found.add(why)
            folders[:] = [
                each for each in folders if not is_hidden(each) and not self(f"{below}{each}/")
            ]
        return found


def _reader(root: Path) -> Callable[[str], bytes | None]:
    def read(folder: str) -> bytes | None:
        try:
            with (root / folder / NAME).open("rb") as file:
                return file.read(MAX_BYTES)
        except (OSError, ValueError):
            return None

    return read
