"""How much of a job waits, and what that may cost at most, before money is spent."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain, groupby

from shared.app.candidates import still
from shared.app.contents import UNKNOWN_CONTEXT
from shared.app.deps import Deps
from shared.app.long_costs import LongCosts, Needed
from shared.app.parts import wanted
from shared.app.requests import Requests, needed_requests
from shared.app.spool import FRAME_BYTES
from shared.app.variants import plain
from shared.domain.catalog import Catalog
from shared.domain.document import Document, DocumentStatus, Failure
from shared.domain.estimate import ADDED_TOKENS, Estimate, bound_in_all, estimate
from shared.domain.group import Load
from shared.domain.ids import JobName
from shared.domain.kinds import is_converted
from shared.domain.recipe import Recipe
from shared.domain.rendering import largest_request
from shared.domain.text import LEAST_CHARS_PER_TOKEN

MOST_REASONS = 6
"""Documents that can't be sent are named, so many of them."""


@dataclass(slots=True, kw_only=True)
class Waiting:
    """What waits in all open groups of a job.

    `sizes` are the bytes that each request has at most, of as many as there may be; `requests` and
    `bytes` how many each group has likely, and about how long they are. `merged` is how many
    answers about parts of long documents are merged, in the groups `merging`, in batches of their
    own. Each is paid for `tries` times at most. `unsendable` are the documents that can't become
    requests, which are counted nowhere else, and `reasons` say of some which they are, and why.
    """

    load: Load = field(default_factory=lambda: Load(documents=0, bytes=0))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    requests: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    merging: set[str] = field(default_factory=set)
    unsendable: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)
    tries: int = 1

    def leave_out(self, document: Document, failure: Failure | None) -> None:
        """Count what needs no request: it can't be sent, or has its report."""
        if failure is None:
            return
        self.unsendable += 1
        if len(self.reasons) < MOST_REASONS:
            self.reasons.append((document.path, failure.message))

    def at_most(self, recipe: Recipe, catalog: Catalog) -> Decimal | None:
        """What all of it costs at most with this recipe, in US dollars; None without a price."""
        cost = bound_in_all(recipe, catalog)
        if cost(0) is None:
            return None
        once = sum((cost(size) or Decimal(0) for size in self.sizes), Decimal(0))
        return once * self.tries

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
            requests=self.requests.total(),
            merged=self.merged,
            input_tokens=input_tokens,
            most_tokens=sum(self.sizes) + len(self.sizes) * ADDED_TOKENS,
            tries=self.tries,
        )

    def batches(self, *, most_requests: int, most_bytes: int) -> int:
        """How many batches it makes, cut along groups and filled one after the other."""
        room = most_bytes - FRAME_BYTES
        return sum(
            max(-(-self.requests[group] // most_requests), -(-self.bytes[group] // room))
            for group in self.requests
        ) + len(self.merging)


def waiting(deps: Deps, job: JobName, recipe: Recipe, also: Iterable[Document] = ()) -> Waiting:
    """Look through what waits, and through what is `also` about to. Where the template can do more
    than print a document as it is, each is rendered: its size alone says nothing. Raises
    BlobStoreUnavailable."""
    found = Waiting(tries=_paid_tries(deps, recipe))
    documents = total = 0
    begun: set[str] = set()
    costs = Requests(deps, recipe, tidy=False).long.costs
    looked = chain(_waiting(deps, job), also)
    for document, needed in _needed(deps, recipe, looked, costs):
        part = document.part
        if part is None and not needed.sizes:
            found.leave_out(document, needed.failure)
            continue
        is_told = part is None and needed.text is not None and _is_opaque(document)
        total += (needed.text or 0) if is_told else document.content.size
        if part is not None:
            found.merged += 1
            if part.of not in begun:
                begun.add(part.of)
                found.sizes.extend(costs.merges(part.count))
                found.requests[document.group] += 1
                documents += 1
        else:
            documents += 1
            found.merged += max(needed.likely - 1, 0)
        if needed.sizes:
            found.sizes.extend(needed.sizes)
            found.requests[document.group] += needed.likely
            found.bytes[document.group] += needed.bytes + needed.likely
        if part is not None or needed.likely > 1:
            found.merging.add(document.group)
    found.load = Load(documents=documents, bytes=total)
    return found


def _paid_tries(deps: Deps, recipe: Recipe) -> int:
    """How often one request may be paid for: an answer that doesn't fit the fields is, and is then
    asked for again; what else is tried again isn't billed."""
    if not recipe.form.fields:
        return 1
    given = deps.policy.max_attempts
    return recipe.max_attempts if given is None else given


def _waiting(deps: Deps, job: JobName) -> Iterator[Document]:
    for group in list(deps.store.groups(job)):
        found = deps.store.waiting(job, group.name)
        yield from wanted(deps, job, still(deps, job, found, DocumentStatus.WAITING))


def _needed(
    deps: Deps, recipe: Recipe, documents: Iterator[Document], costs: LongCosts
) -> Iterator[tuple[Document, Needed]]:
    """The requests of each. What has to be converted is: its own bytes say nothing."""
    largest = largest_request(recipe)
    model = deps.catalog.find(recipe.model)
    context = model.context_window if model else UNKNOWN_CONTEXT

    def is_read(document: Document) -> bool:
        """Whether its size alone doesn't tell."""
        content = document.content
        in_parts = document.part is not None or document.parts is not None
        is_row = content.is_row or content.files > 0 or is_converted(plain(document))
        is_long = content.size > context * LEAST_CHARS_PER_TOKEN
        goes_on = document.unfinished is not None
        return largest is None or in_parts or goes_on or is_row or is_long

    for reads, run in groupby(documents, key=is_read):
        if reads or largest is None:
            yield from needed_requests(deps, recipe, run)
        else:
            around = largest(0)
            for document in run:
                size = document.content.size
                most = largest(size)
                sizes = [most] if most <= context else costs.bound(most - around, around)
                yield document, Needed(sizes=sizes, likely=1, bytes=around + size)


def _is_opaque(document: Document) -> bool:
    """Whether its own bytes say nothing of its text: of many files, not all may be text."""
    content = document.content
    return content.files > 0 or (not content.is_row and is_converted(plain(document)))
