"""Names of things; a custom_id says whose it is and where it belongs without any look-up."""

import re
from base64 import b32encode
from hashlib import blake2b
from typing import NewType

from shared.domain.names import slug

JobName = NewType("JobName", str)
BatchId = NewType("BatchId", str)
CustomId = NewType("CustomId", str)
ProviderId = NewType("ProviderId", str)
CorrelationId = NewType("CorrelationId", str)

CUSTOM_ID_LIMIT = 64
"""`^[a-zA-Z0-9_-]{1,64}$`, from the Batches API reference."""

BATCH_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters that can't be mistaken for each other; 12 of them are 60 bits."""

BATCH_ID_LENGTH = 12
_INDEX_WIDTH = 5
_SLUG_LIMIT = CUSTOM_ID_LIMIT - BATCH_ID_LENGTH - _INDEX_WIDTH - 2
_CUSTOM_ID = re.compile(rf"[a-zA-Z0-9_-]+-(\d{{{_INDEX_WIDTH}}})-([a-z0-9]{{{BATCH_ID_LENGTH}}})")


def batch_id(number: int) -> BatchId:
    """Write a random 60-bit number as a batch id."""
    letters = []
    for _ in range(BATCH_ID_LENGTH):
        number, digit = divmod(number, len(BATCH_ID_ALPHABET))
        letters.append(BATCH_ID_ALPHABET[digit])
    return BatchId("".join(letters))


def custom_id(name: str, index: int, batch: BatchId) -> CustomId:
    """Name one request: what it is about, its place in the batch's list, and the batch.

    The place makes it unique; the batch's id makes an orphaned batch recognisable by any
    one line of its results.
    """
    if not 0 <= index < 10**_INDEX_WIDTH:
        raise ValueError(f"a batch holds at most {10**_INDEX_WIDTH} requests, not number {index}")
    return CustomId(f"{slug(name, _SLUG_LIMIT)}-{index:0{_INDEX_WIDTH}d}-{batch}")


def place_of(text: str) -> tuple[int, BatchId] | None:
    """The place and batch a custom_id names, or None when docmill didn't make it."""
    match = _CUSTOM_ID.fullmatch(text)
    return (int(match[1]), BatchId(match[2])) if match else None


def correlation_id(job: JobName, path: str, version: str) -> CorrelationId:
    """What one version of a document is followed by, from its upload to its report or failure.

    12 of 32 characters, 60 bits: a million versions share none, but for one chance in two million.
    """
    name = f"{job}\0{path}\0{version}".encode("utf-8", "surrogatepass")
    return CorrelationId(b32encode(blake2b(name, digest_size=8).digest())[:12].decode().lower())
