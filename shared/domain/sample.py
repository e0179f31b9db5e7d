"""A few documents that stand for all: of each kind, and of all sizes within it.

The same documents in the same order give the same sample, with no chance in it.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_KINDS = 1_000
"""Kinds beyond that are taken for one: names of files may have any ending."""


class Kind(NamedTuple):
    """What tells documents apart before they are read: `ending` is empty for a manifest's row."""

    ending: str
    group: str


_ALL_ELSE = Kind("…", "…")


@dataclass(slots=True)
class Sampling:
    """Documents are shown to it one by one, and it keeps no more of each than 16 bytes."""

    documents: int = 0
    bytes: int = 0
    _sizes: "dict[Kind, array[int]]" = field(default_factory=dict)
    _places: "dict[Kind, array[int]]" = field(default_factory=dict)

    def show(self, kind: Kind, size: int) -> None:
        """The next document."""
        if kind not in self._sizes:
            if len(self._sizes) >= MOST_KINDS:
                kind = _ALL_ELSE
            self._sizes.setdefault(kind, array("Q"))
            self._places.setdefault(kind, array("Q"))
        self._sizes[kind].append(size)
        self._places[kind].append(self.documents)
        self.documents += 1
        self.bytes += size

    def chosen(self, most: int) -> frozenset[int]:
        """The numbers, in the order shown and from 0, of at most `most` documents: as many as there
        are, if that is no more. Every kind has one as long as there is room, the largest first; the
        rest is shared out by how many documents a kind has. Within a kind they stand at even
        distances in the order of size."""
        kinds = self._kinds(most)
        found: set[int] = set()
        for name, share in _shares({k: len(each) for k, each in kinds.items()}, most).items():
            ordered = sorted(kinds[name])
            found.update(
                ordered[(2 * n + 1) * len(ordered) // (2 * share)][1] for n in range(share)
            )
        return frozenset(found)

    def _kinds(self, most: int) -> Mapping[Kind, Sequence[tuple[int, int]]]:
        """Sizes and places by kind. Groups count only where that leaves two documents for each:
        else their number would leave no room for sizes."""
        apart = 2 * len(self._sizes) <= most
        kinds: dict[Kind, list[tuple[int, int]]] = defaultdict(list)
        for kind, sizes in self._sizes.items():
            name = kind if apart else Kind(kind.ending, "")
            kinds[name] += zip(sizes, self._places[kind], strict=True)
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
