"""What a job has asked, by digest: kept for each batch in blocks by the digests' first byte."""

from collections.abc import Iterable, Mapping

_DIGEST_BYTES = 12
_PLACE_BYTES = 3
_ENTRY_BYTES = _DIGEST_BYTES + _PLACE_BYTES


def block_of(digest: bytes) -> int:
    """Which of 256 blocks a digest belongs to."""
    return digest[0]


def blocks_of(asked: Iterable[tuple[bytes, int]]) -> Mapping[int, bytes]:
    """Digests of requests and their places in a batch, in blocks."""
    blocks: dict[int, bytearray] = {}
    for digest, place in asked:
        entry = digest[:_DIGEST_BYTES] + place.to_bytes(_PLACE_BYTES)
        blocks.setdefault(block_of(digest), bytearray()).extend(entry)
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
