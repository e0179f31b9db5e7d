"""A few documents that stand for all: of each kind, and of all sizes within it.

The same documents in the same order give the same sample, with no chance in it.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_KINDS = 1_000
"""Kinds beyond that are taken for one: names of files may have any ending."""


class Kind(NamedTuple):
    """What tells documents apart before they are read: `ending` is empty for a manifest's row."""

    ending: str
    group: str


_ALL_ELSE = Kind("…", "…")
_PLACE_BITS = 32
_LARGEST = 2**_PLACE_BITS - 1
"""Bytes; whatever is larger is as large as that, for its place in the order."""


@dataclass(slots=True)
class Sampling:
    """Documents are shown to it one by one, and it keeps no more of each than 8 bytes."""

    documents: int = 0
    bytes: int = 0
    _kinds: "dict[Kind, array[int]]" = field(default_factory=dict)
    """Sizes, and behind each its place, in one number: they are sorted by both."""

    def show(self, kind: Kind, size: int) -> None:
        """The next document."""
        if kind not in self._kinds:
            if len(self._kinds) >= MOST_KINDS:
                kind = _ALL_ELSE
            self._kinds.setdefault(kind, array("Q"))
        self._kinds[kind].append(min(size, _LARGEST) << _PLACE_BITS | self.documents)
        self.documents += 1
        self.bytes += size

    def chosen(self, most: int) -> frozenset[int]:
        """The numbers, in the order shown and from 0, of at most `most` documents: as many as there
        are, if that is no more. Every kind has one as long as there is room, the largest first; the
        rest is shared out by how many documents a kind has. Within a kind they stand at even
        distances in the order of size."""
        kinds = self._apart(most)
        found: set[int] = set()
        for name, share in _shares({k: len(each) for k, each in kinds.items()}, most).items():
            ordered = sorted(kinds[name])
            even = ((2 * n + 1) * len(ordered) // (2 * share) for n in range(share))
            found.update(ordered[rank] & _LARGEST for rank in even)
        return frozenset(found)

    def _apart(self, most: int) -> "Mapping[Kind, array[int]]":
        """What is told apart. Groups count only where that leaves two documents for each: else
        their number would leave no room for sizes."""
        if 2 * len(self._kinds) <= most:
            return self._kinds
        kinds: dict[Kind, array[int]] = {}
        for kind, numbers in self._kinds.items():
            kinds.setdefault(Kind(kind.ending, ""), array("Q")).extend(numbers)
        return kinds


def kind_of(path: str, *, is_row: bool, group: str) -> Kind:
    """The kind of the document at `path`."""
    name = path.rsplit("/", 1)[-1]
    ending = name.rpartition(".")[2].lower() if "." in name and not is_row else ""
    return Kind(ending, group)


def shown(documents: Iterable[tuple[Kind, int]]) -> Sampling:
    """A sampling that documents of these kinds and sizes were shown to."""
    sampling = Sampling()
    for kind, size in documents:
        sampling.show(kind, size)
    return sampling


def _shares(counts: Mapping[Kind, int], most: int) -> dict[Kind, int]:
    """How many of each kind: one of each first, then whoever is furthest below its due."""
    wanted = min(most, sum(counts.values()))
    by_size = sorted(counts, key=lambda kind: (-counts[kind], kind))
    shares = dict.fromkeys(by_size[:wanted], 1)
    while sum(shares.values()) < wanted:
        # Sainte-Laguë's method of divisors: proportional, and nobody gets more than there is.
        due = max(
            (kind for kind in shares if shares[kind] < counts[kind]),
            key=lambda kind: counts[kind] / (2 * shares[kind] + 1),
        )
        shares[due] += 1
    return shares
