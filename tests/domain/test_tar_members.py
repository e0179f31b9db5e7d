"""Tar archives as a stream: the same members as were packed, or a reason, in bounded memory."""

import io
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.archive import BadArchive, Member, Sort
from shared.domain.tar_members import Forward, members
from tests.archives import tarred

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=150)


def found_in(data: bytes, *, piece: int = 1000) -> list[tuple[Member, bytes]]:
    stream = Forward(data[at : at + piece] for at in range(0, len(data), piece))
    found = []
    for member in members(stream):
        text = b"".join(stream.take(member.size)) if member.number % 2 else b""
        found.append((member, text))
    return found


@given(
    files=st.dictionaries(NAMES, st.binary(max_size=1500), max_size=5),
    piece=st.integers(1, 2000),
)
def test_members_come_as_they_were_packed_whether_they_are_read_or_not(
    files: dict[str, bytes], piece: int
) -> None:
    data = tarred(files, "w:")
    found = found_in(data, piece=piece)
    assert [each.name for each, _ in found] == [name.removeprefix("./") for name in files]
    for (member, text), expected in zip(found, files.values(), strict=True):
        assert data[member.offset : member.offset + member.length] == expected
        assert text == (expected if member.number % 2 else b"")


def test_links_devices_and_sparse_files_are_told_from_files() -> None:
    target = io.BytesIO()
    kinds = {
        "soft": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
        "pipe": tarfile.FIFOTYPE,
        "folder": tarfile.DIRTYPE,
        "sparse": tarfile.GNUTYPE_SPARSE,
    }
    with tarfile.open(fileobj=target, mode="w:", format=tarfile.GNU_FORMAT) as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "../../etc/passwd"
            archive.addfile(info)
    found = {each.name: each for each, _ in found_in(target.getvalue())}
    assert {name: each.sort for name, each in found.items()} == {
        "soft": Sort.LINK,
        "hard": Sort.LINK,
        "device": Sort.SPECIAL,
        "pipe": Sort.SPECIAL,
        "folder": Sort.FOLDER,
        "sparse": Sort.FILE,
    }
    assert found["sparse"].fault is not None


def test_a_name_that_is_not_utf8_is_its_members_fault() -> None:
    data = bytearray(tarred({"abc": "x"}, "w:"))
    data[0:3] = b"\xff\xfe."
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    [(member, _)] = found_in(bytes(data))
    assert member.fault == "its name isn't UTF-8"
    assert member.name == "\\xff\\xfe."


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no tar archive"),
        (b"text " * 300, "no tar archive"),
        (tarred({"a": "x" * 3000, "b": "y"}, "w:")[:2000], "behind member 1"),
        (tarred({"a": "x" * 3000, "b": "y"}, "w:")[:3584], "its end is cut off, behind member 1"),
        (tarred({"a": "x"}, "w:")[:1024] + b"\1" * 512, "a header in it is broken"),
    ],
)
def test_what_is_no_whole_archive_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        found_in(data)


def test_an_archive_of_nothing_is_whole() -> None:
    assert found_in(b"\0" * 10_240) == []


@given(st.binary(max_size=100), st.integers(0, 1600))
def test_whatever_the_bytes_are_there_are_members_or_a_reason(change: bytes, at: int) -> None:
    data = tarred({"a.txt": "text" * 10, "b": "x"}, "w:")
    try:
        found_in(data[:at] + change + data[at + len(change) :])
    except BadArchive as error:
        assert error.message  # noqa: PT017 - either way is fine


def test_a_header_that_says_it_is_huge_is_not_held() -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type = tarfile.GNUTYPE_LONGNAME
    header.size = 4_000_000_000
    data = header.tobuf(tarfile.GNU_FORMAT)
    stream = Forward(iter([data, *([b"a" * (1 << 20)] * 100)]))
    tracemalloc.start()
    with pytest.raises(BadArchive, match="longer than a header"):
        list(members(stream))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_headers_that_lead_to_headers_without_end_are_refused() -> None:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    with pytest.raises(BadArchive):
        list(members(Forward(iter([header.tobuf(tarfile.PAX_FORMAT)] * 5000))))
