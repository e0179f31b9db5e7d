"""How much of a job waits, and what that may cost at most, before money is spent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, groupby

from shared.app.candidates import still
from shared.app.deps import Deps
from shared.app.requests import costs_at_most
from shared.domain.document import Document, DocumentStatus
from shared.domain.estimate import bound
from shared.domain.group import Load
from shared.domain.ids import JobName
from shared.domain.recipe import Recipe
from shared.domain.rendering import largest_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits in all open groups of a job; `at_most` is in US dollars, None without a price."""

    load: Load
    at_most: Decimal | None


def waiting(deps: Deps, job: JobName, recipe: Recipe, also: Iterable[Document] = ()) -> Waiting:
    """Look through what waits, and through what is `also` about to. Where the template can do more
    than print a document as it is, each is rendered: its size alone says nothing. Raises
    BlobStoreUnavailable."""
    documents = size = 0
    at_most = Decimal(0)
    for document, cost in _costs(deps, recipe, chain(_waiting(deps, job), also)):
        documents += 1
        size += document.content.size
        at_most += cost
    priced = bound(recipe, deps.catalog)(0) is not None
    return Waiting(load=Load(documents=documents, bytes=size), at_most=at_most if priced else None)


def _waiting(deps: Deps, job: JobName) -> Iterator[Document]:
    for group in list(deps.store.groups(job)):
        found = deps.store.waiting(job, group.name)
        yield from still(deps, job, found, DocumentStatus.WAITING)


def _costs(
    deps: Deps, recipe: Recipe, documents: Iterator[Document]
) -> Iterator[tuple[Document, Decimal]]:
    largest = largest_request(recipe)
    at_most = bound(recipe, deps.catalog)
    for is_row, run in groupby(documents, key=lambda document: document.content.row is not None):
        if is_row or largest is None:
            yield from costs_at_most(deps, recipe, run)
        else:
            for document in run:
                yield document, at_most(largest(document.content.size)) or Decimal(0)
