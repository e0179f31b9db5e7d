"""Requests that are the same but for their custom_id: one is sent, and its answer is for all.

The first of them leads, the others are its twins: the batch holds their documents as it holds any,
and they have no place in its body. A twin is only ever held beside its leader.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from shared.domain.asked import blocks_of
from shared.domain.batch import Batch, Member
from shared.domain.bitmap import Bitmap
from shared.domain.ids import CustomId
from shared.domain.recipe import Recipe
from shared.domain.template_tags import always_prints_path

_DIGEST_BYTES = 16
_BEHIND_ID = len(b'{"custom_id":""')


def same_request(name: CustomId, request: bytes) -> bytes:
    """A digest of an encoded request without its custom_id."""
    return blake2b(request[_BEHIND_ID + len(name) :], digest_size=_DIGEST_BYTES).digest()


class Leaders:
    """The requests of one batch that is being planned, by what they ask."""

    def __init__(self, recipe: Recipe) -> None:
        self._never = always_prints_path(recipe.template)
        self._places: dict[bytes, int] = {}

    def asked(self, name: CustomId, request: bytes) -> bytes | None:
        """What a request asks; None where no other can ask the same."""
        return None if self._never else same_request(name, request)

    def of(self, asked: bytes) -> int | None:
        """The place of a request of the batch that is the same; None when it would be the first."""
        return self._places.get(asked)

    def add(self, asked: bytes | None, place: int) -> None:
        """Take the request that is sent at this place."""
        if asked is not None:
            self._places[asked] = place

    def blocks(self) -> Mapping[int, bytes]:
        """All of them, to be looked up by later batches."""
        return blocks_of(self._places.items())


def twins_of(batch: Batch, members: Sequence[Member]) -> Mapping[int, Sequence[int]]:
    """The places of the twins that the batch holds, by the place of the one sent for them."""
    held = Bitmap(batch.twins)
    found: dict[int, list[int]] = {}
    for place, member in enumerate(members if len(held) else ()):
        if member.twin is not None and place in held:
            found.setdefault(member.twin, []).append(place)
    return found


def with_twins(places: Iterable[int], twins: Mapping[int, Sequence[int]]) -> list[int]:
    """Each of the places, and behind it those whose answer it has."""
    return [each for place in places for each in (place, *twins.get(place, ()))]
