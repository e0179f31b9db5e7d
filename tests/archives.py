"""Archives as tests need them, made in memory."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Literal

from shared.adapters.builtin import catalog
from shared.domain.recipe import Recipe, parse_recipe
from tests.app.home import RECIPE

TarMode = Literal["w:", "w:gz", "w:bz2", "w:xz"]
MODES: dict[str, TarMode] = {
    "a.tar": "w:",
    "a.tar.gz": "w:gz",
    "a.tgz": "w:gz",
    "a.tar.bz2": "w:bz2",
    "a.tar.xz": "w:xz",
}
KINDS = ("a.zip", *MODES)


def zipped(
    files: Mapping[str, str | bytes], *, stored: bool = False, comment: bytes = b""
) -> bytes:
    """A zip archive with these members, in their order."""
    target = io.BytesIO()
    how = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w", how) as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def tarred(files: Mapping[str, str | bytes], mode: TarMode = "w:gz") -> bytes:
    """A tar archive with these members, in their order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def packed(name: str, files: Mapping[str, str | bytes]) -> bytes:
    """An archive of the kind that its name says."""
    return zipped(files) if name == "a.zip" else tarred(files, MODES[name])


def recipe(keys: str) -> Recipe:
    """The tests' recipe with more keys."""
    text = RECIPE.replace("max_wait: 10m\n", f"max_wait: 10m\n{keys}\n")
    return parse_recipe(text, name="recipe.md", catalog=catalog())
