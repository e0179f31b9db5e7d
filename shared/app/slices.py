"""Work on many records a slice at a time: as much as one call to the store should hold."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

SLICE = 500
_TURN = 100

T = TypeVar("T")


async def in_turns(
    records: Iterable[T], *, every: int = _TURN, slow: Callable[[T], bool] | None = None
) -> AsyncIterator[T]:
    """The same records one by one; others get their turn after each so many, and after each that
    is `slow` to come by.

    Reading and claiming 100,000 documents takes minutes, and an upload beside it that stood still
    as long would be cut off by the provider, and be in doubt.
    """
    for number, record in enumerate(records):
        if (number and number % every == 0) or (slow is not None and slow(record)):
            await asyncio.sleep(0)
        yield record


def slices(records: Iterable[T]) -> Iterator[list[T]]:
    """The same records in lists of at most SLICE; none is empty."""
    iterator = iter(records)
    while part := list(islice(iterator, SLICE)):
        yield part
