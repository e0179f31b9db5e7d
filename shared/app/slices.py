"""Work on many records a slice at a time: as much as one call to the store should hold."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

SLICE = 500

T = TypeVar("T")


def slices(records: Iterable[T]) -> Iterator[list[T]]:
    """The same records in lists of at most SLICE; none is empty."""
    iterator = iter(records)
    while part := list(islice(iterator, SLICE)):
        yield part
