from hashlib import sha256

from shared.domain.asked import OF_SMALL_BATCHES, block_of, blocks_of, place_in


def digest(number: int) -> bytes:
    return sha256(str(number).encode()).digest()


def test_every_request_is_found_at_its_place_and_no_other_is() -> None:
    blocks = blocks_of((digest(number), number) for number in range(0, 100_000, 7))
    assert len(blocks) == 256
    for number in range(0, 100_000, 7_000):
        assert place_in(blocks[block_of(digest(number))], digest(number)) == number
        assert place_in(blocks[block_of(digest(number + 1))], digest(number + 1)) is None


def test_a_digest_that_only_seems_to_be_there_between_two_entries_is_not_found() -> None:
    one, two = b"\x01" * 12, b"\x01" * 11 + b"\x02"
    [(number, block)] = blocks_of([(one, 0x010101), (two, 5)]).items()
    assert number == OF_SMALL_BATCHES
    assert place_in(block, b"\x01" * 12) == 0x010101
    assert place_in(block, two) == 5
    assert place_in(block, b"\x01" * 10 + b"\x02\x00") is None


def test_a_batch_of_100_000_takes_a_few_kilobytes_a_block() -> None:
    blocks = blocks_of((digest(number), number) for number in range(100_000))
    assert max(len(block) for block in blocks.values()) < 10_000
