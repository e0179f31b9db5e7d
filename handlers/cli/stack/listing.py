"""Two orders of names read side by side: what there is to send, and what lies there already."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from handlers.cli.faults import Fault
from shared.adapters.s3_blobs import S3Blobs
from shared.ports.blobs import Blob, Unlisted

T = TypeVar("T")


def beside(
    found: Iterator[T], blobs: S3Blobs, *, key: Callable[[T], str], first: str, last: str
) -> Iterator[tuple[T, Blob | None]]:
    """Each with the object of its key, None where there is none. Both come in the order of keys,
    so a page of each is all that is held. `first` and `last` bound the keys that are listed."""
    listed = between(blobs, first, last)
    there = next(listed, None)
    for each in found:
        wanted = key(each)
        while there is not None and there.key < wanted:
            there = next(listed, None)
        yield each, there if there is not None and there.key == wanted else None


def between(blobs: S3Blobs, first: str, last: str) -> Iterator[Blob]:
    """The objects from `first` to `last`, below the folder that both lie in."""
    same = next(
        (n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    prefix = first[: first.rfind("/", 0, same) + 1]
    after = first[:-1]  # sorts before it; what lies between is passed over
    for blob in blobs.list(prefix, after=after if after > prefix else ""):
        if blob.key > last:
            return
        if isinstance(blob, Unlisted):
            raise Fault(blob.message)
        yield blob
