"""Archives in the input: a document for each file, or one with all of them.

An archive is looked through before anything of it is taken: one that is broken or made to do harm
is one failure. Members are read as streams and never written anywhere; a zip's directory alone
tells what it holds, a tar is read twice.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from shared.app.ranges import Ranges
from shared.domain.archive import ArchiveKind, BadArchive, Member, Sort, Weighed
from shared.domain.gitignore import MAX_BYTES, NAME, Ignored
from shared.domain.left_out import (
    HIDDEN,
    IGNORED,
    LINKS,
    SPECIAL,
    UNUSABLE,
    LeftOut,
    is_hidden,
    marks_a_project,
    needless,
)
from shared.domain.names import InvalidName, check_path, stand_in
from shared.domain.tar_members import Forward
from shared.domain.tar_members import members as tar_members
from shared.domain.unpacking import plain
from shared.domain.zip_members import (
    END64_BYTES,
    LOCAL_HEADER_BYTES,
    TAIL_BYTES,
    Directory,
    data_at,
    read_end64,
    read_tail,
    unpacked,
)
from shared.domain.zip_members import members as zip_members
from shared.ports.blobs import BlobChanged, Blobs

_IGNORE_FILES: Final = 2_000
_ETAG_HEX: Final = 32

Content = Callable[[], Iterable[bytes | memoryview]]
"""Reads the member that was just named, in pieces, before the next is asked for."""


class Archive:
    """One version of an archive. Raises BadArchive or BlobError wherever it is read."""

    def __init__(self, blobs: Blobs, key: str, *, etag: str, size: int, kind: ArchiveKind) -> None:
        self._blobs = blobs
        self._key = key
        self._etag = etag
        self._size = size
        self._kind = kind
        self._ranges = Ranges(blobs)
        self._ignore_files: dict[str, bytes] = {}
        self._is_project = False
        self._surveyed = False
        self.left_out = LeftOut()

    def wanted(self, *, sound: bool = False) -> Iterator[tuple[Member, Content]]:
        """The files that are to be read, once all of the archive was looked through.

        With `sound` those are left out whose names can't be used, and one that can't be read is a
        BadArchive.
        """
        self._survey()
        self.left_out = LeftOut()
        ignored = Ignored(self._ignore_files.get)
        for member, content in self._members():
            if member.sort is Sort.FOLDER:
                continue
            why = self._needless(member, ignored, sound=sound)
            if why is not None:
                self.left_out.add(why)
                continue
            if sound and member.fault is not None:
                raise BadArchive(f"{stand_in(member.name)}: {member.fault}")
            yield member, content

    @staticmethod
    def etag_of(member: Member, content: Content) -> str:
        """What changes when the member's content does: of a zip's, its checksum and size, which its
        directory has; of a tar's, a digest."""
        if member.crc is not None:
            return f"{member.crc:08x}-{member.size:x}"
        digest = hashlib.sha256()
        for piece in content():
            digest.update(piece)
        return digest.hexdigest()[:_ETAG_HEX]

    def _needless(self, member: Member, ignored: Ignored, *, sound: bool) -> str | None:
        if is_hidden(member.name):
            return HIDDEN
        if member.sort is not Sort.FILE:
            return LINKS if member.sort is Sort.LINK else SPECIAL
        if self._is_project and (why := needless(member.name)) is not None:
            return why
        try:
            check_path(member.name)
        except InvalidName:
            return UNUSABLE if sound else None
        return IGNORED if ignored(member.name) else None

    def _survey(self) -> None:
        if self._surveyed:
            return
        weighed = Weighed(self._size)
        for member, content in self._members(weighed):
            weighed.add(member, by_header=self._kind is ArchiveKind.ZIP)
            if member.sort is Sort.FILE and marks_a_project(member.name):
                self._is_project = True
                self._note_ignore_file(member, content)
        if self._kind is ArchiveKind.ZIP and weighed.taken > self._size:
            raise BadArchive("its members overlap, as those do of archives made to do harm")
        self._surveyed = True

    def _note_ignore_file(self, member: Member, content: Content) -> None:
        folder, _, name = member.name.rpartition("/")
        if name != NAME or member.fault or member.size > MAX_BYTES:
            return
        if len(self._ignore_files) >= _IGNORE_FILES:
            raise BadArchive(f"it has more than {_IGNORE_FILES:,} files named {NAME}")
        self._ignore_files[folder] = b"".join(content())

    def _members(self, weighed: Weighed | None = None) -> Iterator[tuple[Member, Content]]:
        if self._kind is ArchiveKind.ZIP:
            directory = self._directory()
            chunks = self._blobs.chunks(self._key, etag=self._etag, offset=directory.offset)
            for member in zip_members(chunks, directory):
                yield member, partial(self._zipped, member)
            return
        pieces = plain(self._kind, self._blobs.chunks(self._key, etag=self._etag))
        stream = Forward(pieces if weighed is None else _weighing(pieces, weighed))
        for member in tar_members(stream):
            yield member, partial(_in_tar, stream, member.offset, member.length)

    def _zipped(self, member: Member) -> tuple[bytes]:
        data = zip_member(
            self._ranges,
            self._key,
            self._etag,
            offset=member.offset,
            length=member.length,
            size=member.size,
            deflated=member.deflated,
            crc=member.crc,
        )
        return (data,)

    def _directory(self) -> Directory:
        begins = max(self._size - TAIL_BYTES, 0)
        data = self._read(begins, self._size - begins)
        tail = read_tail(data, self._size)
        if tail.directory is not None:
            return tail.directory
        at = tail.record64_at or 0
        if at + END64_BYTES > self._size:
            raise BadArchive("its 64-bit end record is broken")
        return read_end64(self._read(at, END64_BYTES), tail.end_at)

    def _read(self, offset: int, length: int) -> bytes:
        return self._ranges.read(self._key, self._etag, offset, length)


def _weighing(pieces: Iterator[bytes], weighed: Weighed) -> Iterator[bytes]:
    """The same; a bomb is seen as it unpacks, not where its headers say so."""
    total = 0
    for piece in pieces:
        total += len(piece)
        weighed.check(total)
        yield piece


def zip_member(
    ranges: Ranges,
    key: str,
    etag: str,
    *,
    offset: int,
    length: int,
    size: int,
    deflated: bool,
    crc: int | None,
) -> bytes:
    """A zip's member by its place. Raises BadArchive or BlobError."""
    header = ranges.read(key, etag, offset, LOCAL_HEADER_BYTES)
    data = ranges.read(key, etag, data_at(header, offset), length)
    return unpacked(data, deflated=deflated, size=size, crc=crc)


def _in_tar(stream: Forward, offset: int, length: int) -> Iterator[memoryview]:
    """A tar's member by its place, which the stream hasn't passed. Raises BadArchive."""
    if stream.skip_to(offset):
        for piece in stream.take(length):
            length -= len(piece)
            yield piece
    if length:
        raise BadArchive("its end is cut off")


class MemberReader:
    """Reads members by their places; those that lie in order are read as one stream, which is the
    only way to read a compressed tar."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._ranges = Ranges(blobs)
        self._open: tuple[str, str] | None = None
        self._stream = Forward(())

    def read(
        self,
        source: str,
        etag: str,
        *,
        kind: ArchiveKind,
        offset: int,
        length: int,
        size: int,
        deflated: bool,
        crc: int | None,
    ) -> bytes:
        """The bytes of a member. Raises BadArchive or BlobError."""
        try:
            if kind is ArchiveKind.ZIP:
                return zip_member(
                    self._ranges,
                    source,
                    etag,
                    offset=offset,
                    length=length,
                    size=size,
                    deflated=deflated,
                    crc=crc,
                )
            if kind is ArchiveKind.TAR:
                return self._ranges.read(source, etag, offset, length)
            if self._open != (source, etag) or self._stream.position > offset:
                self._open = None
                self._stream = Forward(plain(kind, self._blobs.chunks(source, etag=etag)))
                self._open = (source, etag)
            return b"".join(_in_tar(self._stream, offset, length))
        except (BadArchive, BlobChanged):
            self._open = None  # a stream that raised has ended
            raise
