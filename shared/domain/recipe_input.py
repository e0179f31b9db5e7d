"""What a recipe takes as one document: the keys `archives` and `documents`.

`archives` is for source archives, and for a folder that is a Git work tree; `documents` says which
folders of the input are one document each.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.domain.front_matter import FrontMatter, shown

INPUT_KEYS: Final = ("archives", "documents")

_FOLDERS: Final = re.compile(r"(?:group/){0,20}folder")


class Archives(StrEnum):
    """What an archive is: one document for each of its files, or one with all of them."""

    FILES = "files"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputShape:
    """How the input falls into documents.

    `archives` is None where the recipe doesn't say: then archives are read as `files`, and a Git
    work tree as any folder. `folder_depth` is the depth at which a folder is one document, from 1
    for those at the top of the job; 0 for none.
    """

    archives: Archives | None = None
    folder_depth: int = 0

    @property
    def whole_archives(self) -> bool:
        """Whether an archive is one document."""
        return self.archives is Archives.DOCUMENT

    def folder_of(self, path: str) -> str | None:
        """The folder that is one document and holds `path`, or None."""
        if not self.folder_depth:
            return None
        parts = path.split("/")
        if len(parts) <= self.folder_depth:
            return None
        return "/".join(parts[: self.folder_depth])


def input_shape(head: FrontMatter) -> InputShape:
    """What the front matter says. Raises RecipeError."""
    archives = head.get("archives")
    if archives is not None and archives not in tuple(Archives):
        raise head.error("archives", f"{shown(archives)} is neither files nor document")
    documents = head.get("documents")
    depth = 0
    if documents not in (None, "files"):
        if not isinstance(documents, str) or not _FOLDERS.fullmatch(documents):
            raise head.error(
                "documents",
                f"{shown(documents)} is neither files nor folder nor group/folder",
            )
        depth = documents.count("/") + 1
    return InputShape(archives=None if archives is None else Archives(archives), folder_depth=depth)
