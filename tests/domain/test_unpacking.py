"""Compressed streams come out whole and in bounded pieces, or with a reason."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.archive import ArchiveKind, BadArchive
from shared.domain.unpacking import PIECE_BYTES, plain

PACK: dict[ArchiveKind, Callable[[bytes], bytes]] = {
    ArchiveKind.TAR_GZ: gzip.compress,
    ArchiveKind.TAR_BZ2: bz2.compress,
    ArchiveKind.TAR_XZ: lzma.compress,
    ArchiveKind.TAR: bytes,
}
KINDS = st.sampled_from(list(PACK))
COMPRESSED = [kind for kind in PACK if kind is not ArchiveKind.TAR]


def cut(data: bytes, piece: int) -> list[bytes]:
    return [data[at : at + piece] for at in range(0, len(data), piece)]


@given(
    kind=KINDS,
    texts=st.lists(st.binary(max_size=500), min_size=1, max_size=3),
    piece=st.integers(1, 300),
)
def test_what_was_packed_comes_out_also_in_several_streams(
    kind: ArchiveKind, texts: list[bytes], piece: int
) -> None:
    data = b"".join(map(PACK[kind], texts))
    assert b"".join(plain(kind, cut(data, piece))) == b"".join(texts)


@pytest.mark.parametrize("kind", COMPRESSED)
def test_much_from_little_comes_in_bounded_pieces(kind: ArchiveKind) -> None:
    data = PACK[kind](b"\0" * 20_000_000)
    sizes = [len(piece) for piece in plain(kind, [data])]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= PIECE_BYTES


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_stream_that_is_cut_off_or_damaged_is_refused(kind: ArchiveKind) -> None:
    data = PACK[kind](bytes(range(256)) * 50)
    for broken in (data[:-5], data[: len(data) // 2], b"\xff" * 100, data[:20] + b"\xff" * 40):
        with pytest.raises(BadArchive):
            list(plain(kind, [broken]))


def test_zeros_behind_a_gzip_stream_are_padding() -> None:
    assert b"".join(plain(ArchiveKind.TAR_GZ, [gzip.compress(b"x") + b"\0" * 100])) == b"x"


def test_an_xz_stream_may_not_ask_for_any_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20}]
    data = lzma.compress(b"x", filters=filters)
    with pytest.raises(BadArchive):
        list(plain(ArchiveKind.TAR_XZ, [data]))
