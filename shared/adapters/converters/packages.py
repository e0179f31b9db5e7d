"""Office documents and books are ZIP archives: looked at before any library unpacks them."""

import io
import re
import zipfile
from collections.abc import Iterable
from typing import Final

from shared.adapters.converters.markdown import counted, shortened
from shared.ports.converter import Unconvertible

_MOST_MEMBERS: Final = 20_000
_MOST_UNPACKED: Final = 400_000_000
"""Of all members, as they say themselves; zipfile reads no more of one than it says."""
_MOST_XML: Final = 150_000_000
"""Of one member that is XML, and becomes a tree of several times its size."""
_HEAD: Final = 4096
_DTD: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_WIDE_DTD: Final = ("<!DOCTYPE".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-be"))


class Package:
    """An archive whose members say that they fit. Raises Unconvertible where they don't."""

    def __init__(self, data: bytes) -> None:
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise broken(f"its archive is damaged ({error})") from error
        members = self.zip.infolist()
        self.names = {member.filename for member in members}
        size = sum(member.file_size for member in members)
        largest = max(
            (m.file_size for m in members if m.filename.endswith((".xml", ".rels"))), default=0
        )
        if len(members) > _MOST_MEMBERS or size > _MOST_UNPACKED or largest > _MOST_XML:
            raise Unconvertible(
                "unpacks_too_large",
                f"it unpacks to {counted(len(members), 'file')} of {size:,} bytes in all, more "
                "than is unpacked; split it",
            )
        if any(member.flag_bits & 1 for member in members):
            raise Unconvertible("encrypted", "it is encrypted; save it without a password")

    def read(self, name: str) -> bytes:
        """A member. Raises Unconvertible."""
        try:
            return self.zip.read(name)
        except (KeyError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise broken(f"its part {name[:100]!r} can't be read") from error

    def like(self, beginning: str, ending: str = "") -> list[str]:
        """The members whose name begins and ends so, in order."""
        return sorted(
            n for n in self.names if n.startswith(beginning) and n.endswith(ending) and n != ending
        )

    def refuse_dtd(self) -> None:
        """Office documents never declare entities; one that does is made to blow its reader up."""
        for name in self.names:
            if not name.endswith((".xml", ".rels", ".vml")):
                continue
            try:
                with self.zip.open(name) as member:
                    head = member.read(_HEAD)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
                raise broken(f"its part {name[:100]!r} can't be read") from error
            if _DTD.search(head) or any(mark in head for mark in _WIDE_DTD):
                raise broken("it declares entities, which no Office document does")

    def left_out(self, folder: str) -> list[str]:
        """What an Office document holds besides its text, as far as its parts say."""
        charts = self.like(f"{folder}/charts/chart", ".xml")
        embedded = self.like(f"{folder}/embeddings/")
        figures = [name for name in embedded if charts and "Excel" in name]  # of the charts
        found = [
            _said(charts, "chart"),
            _said(self.like(f"{folder}/diagrams/data", ".xml"), "diagram"),
            _said(embedded[len(figures) :], "embedded object"),
            "macros left out" if f"{folder}/vbaProject.bin" in self.names else "",
        ]
        return [loss for loss in found if loss]


def broken(why: str) -> Unconvertible:
    """A file that is damaged, or made to harm."""
    return Unconvertible("broken_document", f"{why}; open it where it was made, and save it anew")


def _said(names: Iterable[str], what: str) -> str:
    known = list(names)
    return f"{counted(len(known), what)} left out" if known else ""


def named(what: str, names: Iterable[str]) -> str:
    """`hidden sheets left out: a, b`."""
    return f"{what} left out: {shortened(names)}"
