"""How records are written down, the same in every home: as JSON, told apart by revision.

A field that a newer docmill adds needs a default, and then old records stay readable.
"""

import time
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from shared.domain.batch import Member

CHUNK_BYTES = 350_000
"""JSON per piece of a batch's list: below DynamoDB's 400 KB per item even uncompressed."""

_FASTEST = 1
_ENCODER = msgspec.json.Encoder()
_DECODERS: "dict[Any, msgspec.json.Decoder[Any]]" = {}
_MAKING = Lock()
"""What msgspec learns of a record with the first decoder is kept with the record, at first
unfinished: a second thread that makes one meanwhile ends the process (seen with msgspec 0.22)."""


class UnreadableError(ValueError):
    """What is stored is not such a record."""


class Revised(Protocol):
    """A record that carries the revision it was read at."""

    @property
    def rev(self) -> int:
        """0 when never stored."""


T = TypeVar("T")
R = TypeVar("R", bound=Revised)


def raised(record: R) -> R:
    """The record under the revision it will be stored as.

    A first revision is one that no earlier record of this name had (microseconds since 1970,
    16 digits): who read a record that was removed can neither change nor remove its successor.
    """
    rev = record.rev + 1 if record.rev else time.time_ns() // 1000
    return replace(record, rev=rev)  # type: ignore[type-var]


def encode(record: Revised) -> str:
    """One record as one line of JSON."""
    return _ENCODER.encode(record).decode()


def decode(kind: type[T], text: str | bytes) -> T:
    """The record that `encode` wrote. Raises UnreadableError."""
    try:
        record: T = _decoder(kind).decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UnreadableError(str(error)) from error
    return record


def packed(members: Sequence[Member]) -> list[bytes]:
    """A batch's list in compressed pieces of at most CHUNK_BYTES, in order."""
    pieces: list[bytes] = []
    piece: list[bytes] = []
    size = 0
    for member in members:
        line = _ENCODER.encode(member)
        if piece and size + len(line) > CHUNK_BYTES:
            pieces.append(_closed(piece))
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    if piece:
        pieces.append(_closed(piece))
    return pieces


def unpacked(pieces: Iterable[bytes]) -> list[Member]:
    """The list that `packed` took. Raises UnreadableError."""
    members: list[Member] = []
    for piece in pieces:
        try:
            members += decode(list[Member], zlib.decompress(piece))
        except zlib.error as error:
            raise UnreadableError(str(error)) from error
    return members


def stamp(when: datetime) -> str:
    """A moment in UTC, always as long, so that text sorts as time does."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _closed(lines: list[bytes]) -> bytes:
    return zlib.compress(b"[" + b",".join(lines) + b"]", _FASTEST)


def _decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    found = _DECODERS.get(kind)
    if found is None:
        with _MAKING:
            found = _DECODERS.get(kind)
            if found is None:
                found = _DECODERS[kind] = msgspec.json.Decoder(kind)
    return found
