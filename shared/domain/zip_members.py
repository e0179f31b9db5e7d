"""Zip archives by their central directory, read as a stream, and their members by range.

The standard library's reader holds an object for each member; here 100,000 take no memory. What the
format says is in APPNOTE.TXT, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

import stat as modes
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.domain.archive import BadArchive, Member, Sort

TAIL_BYTES: Final = 22 + 65_535 + 20
"""The end record, the longest comment behind it, and what says where the 64-bit record lies."""

LOCAL_HEADER_BYTES: Final = 30
END64_BYTES: Final = 56

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF

_ENCRYPTED, _MASKED, _UTF8 = 0x1, 0x2000, 0x800
_STORED, _DEFLATED = 0, 8
_METHODS: Final = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_UNIX: Final = (3, 19)
"""Systems that leave a file's mode in the upper half of its attributes: Unix and macOS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where the central directory lies. `shift` is what stands before the archive in its file."""

    offset: int
    size: int
    entries: int
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of the file: the directory, or where the 64-bit record that names it lies."""

    directory: Directory | None = None
    record64_at: int | None = None
    end_at: int = 0


def read_tail(data: bytes, size: int) -> Tail:
    """What the last bytes of a file of `size` say. Raises BadArchive."""
    at = data.rfind(b"PK\5\6")
    while at >= 0:
        if at + _END.size <= len(data):
            _, disk, _, _, entries, length, offset, comment = _END.unpack_from(data, at)
            if at + _END.size + comment <= len(data):
                break
        at = data.rfind(b"PK\5\6", 0, at)
    if at < 0:
        raise BadArchive("it is no zip archive, or its end is cut off")
    end_at = size - len(data) + at
    locator = at - _LOCATOR64.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\6\7":
        record_at = _LOCATOR64.unpack_from(data, locator)[2]
        return Tail(record64_at=record_at, end_at=end_at - _LOCATOR64.size)
    if disk not in (0, _FULL16):
        raise BadArchive("it is one part of a zip archive in several; join them first")
    return Tail(
        directory=_placed(offset=offset, size=length, entries=entries, end_at=end_at),
        end_at=end_at,
    )


def read_end64(data: bytes, end_at: int) -> Directory:
    """What the 64-bit end record says, which ends before `end_at`. Raises BadArchive."""
    if len(data) < _END64.size or not data.startswith(b"PK\6\6"):
        raise BadArchive("its 64-bit end record is broken")
    record = _END64.unpack_from(data)
    entries, length, offset = record[7], record[8], record[9]
    return _placed(
        offset=offset, size=length, entries=entries, end_at=max(end_at - record[1] - 12, 0)
    )


def _placed(*, offset: int, size: int, entries: int, end_at: int) -> Directory:
    shift = end_at - size - offset
    if shift < 0 or size < entries * _ENTRY.size:
        raise BadArchive("its directory doesn't lie where its end says: it is broken or cut off")
    return Directory(offset=offset + shift, size=size, entries=entries, shift=shift)


def members(chunks: Iterable[bytes], directory: Directory) -> Iterator[Member]:
    """The members in the order of the directory, from the file's bytes where that begins.

    Raises BadArchive where the directory is broken.
    """
    rest = iter(chunks)
    buffer = bytearray()
    read = 0

    def fill(size: int) -> None:
        nonlocal read
        while len(buffer) < size:
            piece = next(rest, None)
            if piece is None or read >= directory.size:
                raise BadArchive("its directory is cut off")
            buffer.extend(piece[: directory.size - read])
            read += len(piece)

    at = 0
    for number in range(1, directory.entries + 1):
        if at > 1 << 20:
            del buffer[:at]
            at = 0
        fill(at + _ENTRY.size)
        lengths = struct.unpack_from("<3H", buffer, at + 28)
        fill(at + _ENTRY.size + sum(lengths))
        if buffer[at : at + 4] != b"PK\1\2":
            raise BadArchive(f"its directory is broken at member {number}")
        yield _member(number, buffer, at, directory)
        at += _ENTRY.size + sum(lengths)


def _member(number: int, buffer: bytearray, at: int, directory: Directory) -> Member:
    (
        _,
        made_by,
        _,
        flags,
        method,
        _,
        _,
        crc,
        packed,
        size,
        names,
        extras,
        _,
        _,
        _,
        mode,
        offset,
    ) = _ENTRY.unpack_from(buffer, at)
    behind = at + _ENTRY.size
    raw = bytes(buffer[behind : behind + names])
    extra = bytes(buffer[behind + names : behind + names + extras])
    name, fault = _name(raw, flags, extra)
    large = iter(_large(extra))
    size, packed, offset = (
        next(large, _FULL32) if value == _FULL32 else value for value in (size, packed, offset)
    )
    sort = _sort(name, made_by >> 8, mode)
    if fault is None and sort is Sort.FILE:
        fault = _fault(flags, method, packed=packed, size=size)
        if fault is None and offset + directory.shift + packed > directory.offset:
            fault = "its place lies outside the archive: it is broken"
    return Member(
        number=number,
        name=name,
        sort=sort,
        offset=offset + directory.shift,
        length=packed,
        size=size,
        deflated=method == _DEFLATED,
        crc=crc,
        fault=fault,
    )


def _fault(flags: int, method: int, *, packed: int, size: int) -> str | None:
    if flags & (_ENCRYPTED | _MASKED):
        return "it is encrypted; pack it without a password"
    if method not in (_STORED, _DEFLATED):
        how = _METHODS.get(method, f"method {method}")
        return f"it is compressed by {how}, which isn't read; pack it with Deflate"
    if method == _STORED and packed != size:
        return "its sizes don't agree: it is broken"
    return None


def _name(raw: bytes, flags: int, extra: bytes) -> tuple[str, str | None]:
    """The name, and why it isn't one. Many tools write UTF-8 and don't say so; what isn't is
    cp437, as the format has it."""
    told = _extra(extra, 0x7075)
    if len(told) > 5 and told[0] == 1 and int.from_bytes(told[1:5], "little") == zlib.crc32(raw):
        raw, flags = told[5:], flags | _UTF8
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        if flags & _UTF8:
            return raw.decode(errors="backslashreplace"), "its name isn't the UTF-8 it claims to be"
        return raw.decode("cp437"), None


def _large(extra: bytes) -> list[int]:
    """The 64-bit sizes and offset that stand in for those that are full."""
    data = _extra(extra, 1)
    return [value for (value,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8])]


def _extra(extra: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _sort(name: str, system: int, attributes: int) -> Sort:
    mode = attributes >> 16 if system in _UNIX else 0
    if modes.S_ISLNK(mode):
        return Sort.LINK
    if name.endswith("/") or modes.S_ISDIR(mode):
        return Sort.FOLDER
    return Sort.FILE if modes.S_IFMT(mode) in (0, modes.S_IFREG) else Sort.SPECIAL


def data_at(header: bytes, offset: int) -> int:
    """Where a member's data begins, from its local header at `offset`. Raises BadArchive."""
    if len(header) < LOCAL_HEADER_BYTES or not header.startswith(b"PK\3\4"):
        raise BadArchive("there is no member where the archive's directory says: it is broken")
    names, extras = _LOCAL.unpack_from(header)[-2:]
    return offset + LOCAL_HEADER_BYTES + int(names) + int(extras)


def unpacked(data: bytes, *, deflated: bool, size: int, crc: int | None) -> bytes:
    """A member from its packed bytes, never more than `size`. Raises BadArchive."""
    if deflated:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflating.decompress(data, size + 1)
        except zlib.error as error:
            raise BadArchive("its compressed data is broken") from error
    if len(data) != size:
        raise BadArchive("it isn't as long as the archive says: it is broken")
    if crc is not None and zlib.crc32(data) != crc:
        raise BadArchive("its checksum is wrong: it is broken")
    return data
