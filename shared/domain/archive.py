"""Archives: what a member is, which are refused, and how much of one is ever read.

Nothing is unpacked to a disk. Names are shown and become paths only through `names`.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

MOST_MEMBERS: Final = 1_000_000
MOST_BYTES: Final = 5_000_000_000
"""What all members have at most, unpacked; more is refused before a member is taken. A function
with a third of a processor unpacks so much in a minute."""

MOST_RATIO: Final = 300
"""Source code packs to a fifth, logs to a thirtieth, a bomb to a thousandth."""

RATIO_FROM: Final = 64_000_000
"""Bytes unpacked below which nobody minds the ratio."""


class ArchiveKind(StrEnum):
    """How an archive is written down."""

    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_BZ2 = "tar.bz2"
    TAR_XZ = "tar.xz"


_ENDINGS: Final = {
    ".zip": ArchiveKind.ZIP,
    ".tar": ArchiveKind.TAR,
    ".tar.gz": ArchiveKind.TAR_GZ,
    ".tgz": ArchiveKind.TAR_GZ,
    ".tar.bz2": ArchiveKind.TAR_BZ2,
    ".tbz2": ArchiveKind.TAR_BZ2,
    ".tar.xz": ArchiveKind.TAR_XZ,
    ".txz": ArchiveKind.TAR_XZ,
}


class BadArchive(ValueError):
    """Nothing of this archive, or nothing from here on, can be read; `message` is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Sort(Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SPECIAL = "device or pipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of an archive, as its directory or its header describes it.

    `number` counts from 1. `length` bytes from byte `offset` hold it; `size` is what they become.
    `fault` is why it can't be read. `crc` is a zip's.
    """

    number: int
    name: str
    sort: Sort
    offset: int
    length: int
    size: int
    deflated: bool = False
    crc: int | None = None
    fault: str | None = None


def archive_kind(name: str) -> ArchiveKind | None:
    """What archive the file of this name is, or None."""
    base = name.rsplit("/", 1)[-1].lower()
    return next((kind for end, kind in _ENDINGS.items() if base.endswith(end)), None)


class Weighed:
    """Adds up an archive's members. Raises BadArchive where it unpacks to more than is sane."""

    def __init__(self, packed: int) -> None:
        self._packed = max(packed, 1)
        self.members = 0
        self.unpacked = 0
        self.taken = 0

    def add(self, member: Member, *, by_header: bool) -> None:
        """Count one in; its size by its header where nothing is unpacked to see it."""
        self.members += 1
        if self.members > MOST_MEMBERS:
            raise BadArchive(f"it has more than {MOST_MEMBERS:,} members; split it")
        self.taken += member.length
        if by_header:
            self.check(self.unpacked + member.size)

    def check(self, unpacked: int) -> None:
        """Note that so much comes out of it."""
        self.unpacked = unpacked
        if unpacked > MOST_BYTES:
            raise BadArchive(f"it unpacks to more than {MOST_BYTES:,} bytes; split it")
        if unpacked > RATIO_FROM and unpacked > MOST_RATIO * self._packed:
            raise BadArchive(
                f"it unpacks to more than {MOST_RATIO} times its size, as archives do that are "
                "made to do harm"
            )
