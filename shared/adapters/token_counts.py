"""The body of a call that counts tokens, and what its answer says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.adapters.provider_batches import Unusable
from shared.domain.counting import counted_params

_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class Pieces:
    """A body that is sent piece by piece: a long one at once holds up all other calls."""

    data: bytes

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """The body from its beginning."""
        for start in range(0, len(self.data), _PIECE):
            yield self.data[start : start + _PIECE]


class _Count(msgspec.Struct):
    input_tokens: int


_DECODE = msgspec.json.Decoder(_Count).decode


def encode_count(params: Mapping[str, Any]) -> bytes:
    """What is asked, of a request with these params."""
    return msgspec.json.encode(counted_params(params))


def decode_count(data: bytes) -> int:
    """The tokens. Raises Unusable for an answer that says no number of them."""
    try:
        tokens = _DECODE(data).input_tokens
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unusable(f"the answer is no count of tokens: {error}") from error
    if tokens < 0:
        raise Unusable(f"the answer is no count of tokens: {tokens}")
    return tokens
