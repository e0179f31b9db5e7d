"""How much of a job waits, and what that may cost at most, before money is spent."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, groupby
from typing import NamedTuple

from shared.app.candidates import still
from shared.app.deps import Deps
from shared.app.requests import Made, made_requests
from shared.app.spool import FRAME_BYTES
from shared.app.variants import plain
from shared.domain.catalog import Catalog
from shared.domain.document import Document, DocumentStatus
from shared.domain.estimate import BYTES_PER_TOKEN, Estimate, bound_in_all, estimate
from shared.domain.group import Load
from shared.domain.ids import JobName
from shared.domain.kinds import is_converted
from shared.domain.recipe import Recipe
from shared.domain.rendering import largest_request


@dataclass(slots=True, kw_only=True)
class Waiting:
    """What waits in all open groups of a job.

    `sizes` are the bytes that the request of each has at most; `requests` and `bytes` how many
    requests each group has, and about how long they are.
    """

    load: Load = field(default_factory=lambda: Load(documents=0, bytes=0))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    requests: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def at_most(self, recipe: Recipe, catalog: Catalog) -> Decimal | None:
        """What all of it costs at most with this recipe, in US dollars; None without a price."""
        cost = bound_in_all(recipe, catalog)
        if cost(0) is None:
            return None
        return sum((cost(size) or Decimal(0) for size in self.sizes), Decimal(0))

    def estimate(
        self,
        recipe: Recipe,
        catalog: Catalog,
        *,
        report_tokens: int | None = None,
        input_tokens: int | None = None,
    ) -> Estimate:
        """What all of it may cost with this recipe; `report_tokens` as reports so far tell,
        `input_tokens` as they were counted."""
        at_most = self.at_most(recipe, catalog)
        return estimate(
            self.load,
            recipe,
            catalog,
            at_most=at_most,
            report_tokens=report_tokens,
            input_tokens=input_tokens,
        )

    def batches(self, *, most_requests: int, most_bytes: int) -> int:
        """How many batches it makes, cut along groups and filled one after the other."""
        room = most_bytes - FRAME_BYTES
        return sum(
            max(-(-self.requests[group] // most_requests), -(-self.bytes[group] // room))
            for group in self.requests
        )


def waiting(deps: Deps, job: JobName, recipe: Recipe, also: Iterable[Document] = ()) -> Waiting:
    """Look through what waits, and through what is `also` about to. Where the template can do more
    than print a document as it is, each is rendered: its size alone says nothing. Raises
    BlobStoreUnavailable."""
    found = Waiting()
    documents = total = 0
    for document, size in _sizes(deps, recipe, chain(_waiting(deps, job), also)):
        documents += 1
        total += document.content.size if size is None else size.like
        if size is not None:
            found.sizes.append(size.most)
            found.requests[document.group] += 1
            found.bytes[document.group] += size.bytes + 1
    found.load = Load(documents=documents, bytes=total)
    return found


def _waiting(deps: Deps, job: JobName) -> Iterator[Document]:
    for group in list(deps.store.groups(job)):
        found = deps.store.waiting(job, group.name)
        yield from still(deps, job, found, DocumentStatus.WAITING)


class _Size(NamedTuple):
    """Of a request: the bytes that it is billed as `most`, those that it has, about, and those of a
    document of text `like` this one."""

    most: int
    bytes: int
    like: int


def _sizes(
    deps: Deps, recipe: Recipe, documents: Iterator[Document]
) -> Iterator[tuple[Document, _Size | None]]:
    """The size of each one's request; None where there is none. What has to be converted is: its
    own bytes say nothing."""
    largest = largest_request(recipe)
    for opaque, run in groupby(documents, key=_says_nothing):
        if opaque or largest is None:
            for document, made in made_requests(deps, recipe, run):
                yield document, None if made is None else _of(document, made)
        else:
            around = largest(0)
            for document in run:
                size = document.content.size
                yield document, _Size(largest(size), around + size, size)


def _says_nothing(document: Document) -> bool:
    content = document.content
    whole = content.source.endswith("/")
    return (
        content.is_row or whole or document.unfinished is not None or is_converted(plain(document))
    )


def _of(document: Document, made: Made) -> _Size:
    converted = not document.content.is_row and is_converted(plain(document))
    like = made.likely_tokens * BYTES_PER_TOKEN if converted else document.content.size
    return _Size(made.most_tokens, len(made.request), like)
