"""Zip archives by their directory: the same members as the standard library finds, or a reason."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.archive import BadArchive, Member, Sort
from shared.domain.zip_members import (
    LOCAL_HEADER_BYTES,
    TAIL_BYTES,
    Directory,
    data_at,
    members,
    read_end64,
    read_tail,
    unpacked,
)
from tests.archives import zipped

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def directory_of(data: bytes) -> Directory:
    tail = read_tail(data[-TAIL_BYTES:], len(data))
    if tail.directory is not None:
        return tail.directory
    assert tail.record64_at is not None
    return read_end64(data[tail.record64_at :], tail.end_at)


def found_in(data: bytes, *, piece: int = 1 << 20) -> list[Member]:
    directory = directory_of(data)

    def chunks() -> Iterator[bytes]:
        for at in range(directory.offset, len(data), piece):
            yield data[at : at + piece]

    return list(members(chunks(), directory))


def content(data: bytes, member: Member) -> bytes:
    at = data_at(data[member.offset : member.offset + LOCAL_HEADER_BYTES], member.offset)
    return unpacked(
        data[at : at + member.length],
        deflated=member.deflated,
        size=member.size,
        crc=member.crc,
    )


@given(
    files=st.dictionaries(NAMES, st.binary(max_size=300), max_size=6),
    stored=st.booleans(),
    comment=st.binary(max_size=40),
    piece=st.integers(1, 200),
)
def test_members_come_as_the_standard_library_packed_them(
    files: dict[str, bytes],
    stored: bool,
    comment: bytes,
    piece: int,
) -> None:
    data = zipped(files, stored=stored, comment=comment)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        theirs = archive.infolist()
    ours = found_in(data, piece=piece)
    assert [each.name for each in ours] == [each.filename for each in theirs]
    assert [each.number for each in ours] == list(range(1, len(theirs) + 1))
    for each in ours:
        if each.sort is Sort.FILE:
            assert content(data, each) == files[each.name]


def test_what_stands_before_an_archive_is_passed_over() -> None:
    data = b"#!/bin/sh\nexec unzip\n" * 20 + zipped({"a": "text"})
    [member] = found_in(data)
    assert content(data, member) == b"text"


def with_entry(data: bytes, at: int, value: bytes) -> bytes:
    """The archive with some bytes of its first directory entry changed."""
    place = data.index(b"PK\1\2") + at
    return data[:place] + value + data[place + len(value) :]


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (8, b"\1\0", "encrypted"),
        (10, struct.pack("<H", 14), "LZMA"),
        (10, struct.pack("<H", 93), "Zstandard"),
        (10, struct.pack("<H", 77), "method 77"),
        (20, struct.pack("<L", 10**6), "outside the archive"),
        (42, struct.pack("<L", 10**6), "outside the archive"),
    ],
)
def test_a_member_that_can_not_be_read_says_why(at: int, value: bytes, why: str) -> None:
    data = with_entry(zipped({"a": "text" * 100, "b": "x"}), at, value)
    first, second = found_in(data)
    assert first.fault is not None
    assert why in first.fault
    assert second.fault is None


def test_a_name_that_is_not_the_utf8_it_claims_to_be_is_told() -> None:
    data = with_entry(zipped({"ää": "x"}), 46, b"\xff\xfe")
    [member] = found_in(data)
    assert member.fault == "its name isn't the UTF-8 it claims to be"
    assert member.name.isascii() or member.name.isprintable()


def test_names_of_old_tools_are_utf8_or_else_what_the_format_says() -> None:
    utf8 = with_entry(zipped({"ää": "x"}), 8, b"\0\0")
    assert found_in(utf8)[0].name == "ää"
    cp437 = with_entry(zipped({"a\u00e4b": "x"}), 8, b"\0\0")
    place = cp437.index(b"PK\1\2") + 46
    assert found_in(cp437[:place] + b"a\x84xb" + cp437[place + 4 :])[0].name == "aäxb"


def test_links_and_devices_are_told_from_files() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, mode in (("link", 0o120777), ("pipe", 0o010644), ("file", 0o100644)):
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = mode << 16
            archive.writestr(info, "target")
        archive.mkdir("folder")
    found = {each.name: each.sort for each in found_in(target.getvalue())}
    assert found == {
        "link": Sort.LINK,
        "pipe": Sort.SPECIAL,
        "file": Sort.FILE,
        "folder/": Sort.FOLDER,
    }


def test_an_archive_in_the_64_bit_format_is_read() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, archive.open("a", "w", force_zip64=True) as file:
        file.write(b"text")
    data = target.getvalue()
    end = data.index(b"PK\5\6")
    entry = data.index(b"PK\1\2")
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, end - entry, entry
    ) + struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    full = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    large = data[:end] + record + full
    [member] = found_in(large)
    assert content(large, member) == b"text"


def test_sizes_that_do_not_fit_are_read_from_the_64_bit_field() -> None:
    data = zipped({"a": "text"}, stored=True)
    entry = data.index(b"PK\1\2")
    extra = struct.pack("<2H3Q", 1, 24, 4, 4, 0)
    changed = bytearray(data[entry : entry + 46])
    changed[20:28] = b"\xff" * 8
    changed[42:46] = b"\xff" * 4
    changed[30:32] = struct.pack("<H", len(extra))
    directory = bytes(changed) + b"a" + extra
    end = bytearray(data[data.index(b"PK\5\6") :])
    end[12:16] = struct.pack("<L", len(directory))
    large = data[:entry] + directory + bytes(end)
    [member] = found_in(large)
    assert (member.size, member.length, member.offset) == (4, 4, 0)
    assert content(large, member) == b"text"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"no zip at all" * 100,
        zipped({"a": "text"})[:-22],
        zipped({"a": "text"})[:60],
        zipped({"a": "text"})[40:],
        b"PK\5\6" + b"\xff" * 18,
        b"PK\5\6\1\0\1\0" + b"\0" * 14,
    ],
    ids=["empty", "short", "text", "no end", "half", "no beginning", "no place", "no member"],
)
def test_what_is_no_whole_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BadArchive):
        found_in(data)


@given(change=st.binary(max_size=60), at=st.integers(0, 200), noise=st.binary(max_size=400))
def test_whatever_the_bytes_are_there_are_members_or_a_reason(
    change: bytes, at: int, noise: bytes
) -> None:
    whole = zipped({"a.txt": "text" * 10, "b": "x"})
    for data in (noise + b"PK\5\6" + noise, whole[:at] + change + whole[at + len(change) :]):
        try:
            for member in found_in(data):
                if member.sort is Sort.FILE and member.fault is None:
                    content(data, member)
        except BadArchive as error:
            assert error.message  # noqa: PT017 - either way is fine


def test_data_that_is_longer_than_it_says_is_not_unpacked_further() -> None:
    bomb = zlib.compressobj(wbits=-15)
    data = bomb.compress(b"\0" * 10_000_000) + bomb.flush()
    with pytest.raises(BadArchive, match="isn't as long"):
        unpacked(data, deflated=True, size=100, crc=None)


def test_damaged_data_is_told_by_its_checksum() -> None:
    with pytest.raises(BadArchive, match="checksum"):
        unpacked(b"text", deflated=False, size=4, crc=1)
    with pytest.raises(BadArchive, match="compressed data is broken"):
        unpacked(b"\xff\xff\xff", deflated=True, size=4, crc=1)
