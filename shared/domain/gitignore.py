"""What `.gitignore` files have Git leave out, each for its own folder and those below.

The nearest file that says something decides, and nothing comes back below a folder that is left
out, as gitignore(5) has it.
"""

from collections.abc import Callable
from typing import Final

from pathspec import GitIgnoreSpec

NAME: Final = ".gitignore"

MAX_BYTES: Final = 1 << 20
"""Of one such file that are looked at; a longer one isn't somebody's list of patterns."""

_REMEMBERED: Final = 10_000


class Ignored:
    """`read` gives the content of the `.gitignore` in a folder ("" is the top), or None."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._specs: dict[str, GitIgnoreSpec | None] = {}
        self._folders: dict[str, bool] = {"": False}

    def __call__(self, path: str) -> bool:
        """Whether the file at `path`, or the folder where it ends in `/`, is left out."""
        folder = path.rstrip("/").rpartition("/")[0]
        return self._folder(folder) or self._matches(path)

    def _folder(self, folder: str) -> bool:
        known = self._folders.get(folder)
        if known is None:
            if len(self._folders) > _REMEMBERED:
                self._folders = {"": False}
            known = self._folder(folder.rpartition("/")[0]) or self._matches(folder + "/")
            self._folders[folder] = known
        return known

    def _matches(self, path: str) -> bool:
        folder = path.rstrip("/").rpartition("/")[0]
        while True:
            spec = self._spec(folder)
            if spec is not None:
                below = path[len(folder) + 1 :] if folder else path
                said = spec.check_file(below).include
                if said is not None:
                    return said
            if not folder:
                return False
            folder = folder.rpartition("/")[0]

    def _spec(self, folder: str) -> GitIgnoreSpec | None:
        if folder not in self._specs:
            if len(self._specs) > _REMEMBERED:
                self._specs = {}
            data = self._read(folder)
            self._specs[folder] = None if data is None else _spec(data)
        return self._specs[folder]


def _spec(data: bytes) -> GitIgnoreSpec | None:
    """The patterns of a file; a line that is none is passed over, as Git does."""
    lines = data[:MAX_BYTES].decode(errors="replace").removeprefix("\ufeff").split("\n")
    kept = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        kept.append(line.removesuffix("\r"))
    return GitIgnoreSpec.from_lines(kept) if kept else None
