"""What a job has asked, by digest: kept for each batch in blocks by the digests' first byte, so
that a look-up reads little of a large job; small batches keep theirs in one, as each is a write."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

OF_SMALL_BATCHES: Final = 256
"""The block of batches that have fewer requests than there are other blocks."""

_DIGEST_BYTES = 12
_PLACE_BYTES = 3
_ENTRY_BYTES = _DIGEST_BYTES + _PLACE_BYTES


def block_of(digest: bytes) -> int:
    """Which of 256 blocks a digest belongs to."""
    return digest[0]


def blocks_of(asked: Iterable[tuple[bytes, int]]) -> Mapping[int, bytes]:
    """Digests of requests and their places in a batch, in blocks."""
    blocks: dict[int, bytearray] = {}
    all_asked = list(asked)
    is_small = len(all_asked) < OF_SMALL_BATCHES
    for digest, place in all_asked:
        entry = digest[:_DIGEST_BYTES] + place.to_bytes(_PLACE_BYTES)
        number = OF_SMALL_BATCHES if is_small else block_of(digest)
        blocks.setdefault(number, bytearray()).extend(entry)
    return {number: bytes(block) for number, block in blocks.items()}


def place_in(block: bytes, digest: bytes) -> int | None:
    """The place of the request of this digest; None when the block doesn't have it."""
    wanted, start = digest[:_DIGEST_BYTES], 0
    while (found := block.find(wanted, start)) >= 0:
        if found % _ENTRY_BYTES == 0:
            end = found + _DIGEST_BYTES
            return int.from_bytes(block[end : end + _PLACE_BYTES])
        start = found + 1
    return None


def digests_in(block: bytes) -> Iterator[bytes]:
    """The digests of a block, as far as they are kept."""
    for start in range(0, len(block), _ENTRY_BYTES):
        yield block[start : start + _DIGEST_BYTES]


def kept_of(digest: bytes) -> bytes:
    """As much of a digest as is kept."""
    return digest[:_DIGEST_BYTES]
