"""How much of a job waits, and what that may cost at most, before money is spent."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, groupby

from shared.app.candidates import still
from shared.app.deps import Deps
from shared.app.requests import request_sizes
from shared.app.spool import FRAME_BYTES
from shared.domain.catalog import Catalog
from shared.domain.document import Document, DocumentStatus
from shared.domain.estimate import Estimate, bound_in_all, estimate
from shared.domain.group import Load
from shared.domain.ids import JobName
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
    for document, most, likely in _sizes(deps, recipe, chain(_waiting(deps, job), also)):
        documents += 1
        total += document.content.size
        if most is not None:
            found.sizes.append(most)
            found.requests[document.group] += 1
            found.bytes[document.group] += likely + 1
    found.load = Load(documents=documents, bytes=total)
    return found


def _waiting(deps: Deps, job: JobName) -> Iterator[Document]:
    for group in list(deps.store.groups(job)):
        found = deps.store.waiting(job, group.name)
        yield from still(deps, job, found, DocumentStatus.WAITING)


def _sizes(
    deps: Deps, recipe: Recipe, documents: Iterator[Document]
) -> Iterator[tuple[Document, int | None, int]]:
    """How many bytes the request of each has at most, and about; None where there is none."""
    largest = largest_request(recipe)
    for by_content, run in groupby(documents, key=_told_by_content):
        if by_content or largest is None:
            for document, size in request_sizes(deps, recipe, run):
                yield document, size, size or 0
        else:
            around = largest(0)
            for document in run:
                yield document, largest(document.content.size), around + document.content.size


def _told_by_content(document: Document) -> bool:
    """Whether the size of its source doesn't tell that of its request."""
    return document.content.row is not None or document.part is not None
