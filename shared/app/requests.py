"""From what was read of a document to the request that is sent for it, and what that may cost."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from shared.app.contents import Read, read_contents
from shared.app.continuing import why_not
from shared.app.deps import Deps
from shared.app.report_places import blocked, has_report
from shared.app.spool import FRAME_BYTES
from shared.domain.caching import marked
from shared.domain.document import (
    Document,
    DocumentStatus,
    Failure,
    failed,
    report_lost,
    unchanged,
)
from shared.domain.estimate import bound
from shared.domain.ids import CustomId, custom_id
from shared.domain.part import continuation
from shared.domain.recipe import Recipe
from shared.domain.rendering import Renderer, RenderError, request_params

_ENCODE = msgspec.json.Encoder().encode


class Requests:
    """Turns what was read into requests, by one recipe; `cached` marks what they share."""

    def __init__(self, deps: Deps, recipe: Recipe, *, cached: bool = False) -> None:
        self.deps = deps
        self.recipe = recipe
        self._shared = recipe.shared if cached else None
        self._renderer = Renderer(recipe)
        self.plain = b""
        """The request made last, without marks: those depend on what is sent along."""

    def make(
        self, document: Document, content: Read, name: CustomId
    ) -> Document | tuple[str, bytes]:
        """The digest and the encoded request, or the document as it ends without one."""
        now = self.deps.clock()
        if isinstance(content, Failure):
            return failed(document, content, now=now)
        part = document.part if document.part and document.part.digest == content.digest else None
        if part and (failure := why_not(document, content.part, self.recipe.fingerprint)):
            return failed(document, failure, now=now)
        waits = document.status is DocumentStatus.WAITING
        if waits and part is None and content.digest == document.reported_digest:
            # One that left the input and comes back may have lost its report meanwhile.
            lost = self.deps.policy.check_reports and not has_report(self.deps, document)
            return report_lost(document, now=now) if lost else unchanged(document)
        if waits and (failure := blocked(self.deps, document)) is not None:
            return failed(document, failure, now=now)
        try:
            prompt = self._renderer.render(content.input)
        except RenderError as error:
            return failed(document, Failure(type=error.type, message=error.message), now=now)
        params = request_params(self.recipe, prompt)
        if part and content.part:
            params = continuation(params, content.part.text)
        request = _ENCODE({"custom_id": name, "params": params})
        self.plain = request
        if self._shared is not None:
            request = _ENCODE({"custom_id": name, "params": marked(params, self._shared)})
        most = self.deps.policy.max_batch_bytes - FRAME_BYTES
        if len(request) > most:
            message = (
                f"its request is {len(request):,} bytes, more than a whole batch may have "
                f"({most:,}); split the document"
            )
            return failed(document, Failure(type="request_too_large", message=message), now=now)
        return content.digest, request


def request_sizes(
    deps: Deps, recipe: Recipe, documents: Iterable[Document]
) -> Iterator[tuple[Document, int | None]]:
    """How many bytes the request of each has, as planning will make it; None where it ends
    without one."""
    requests = Requests(deps, recipe, cached=True)
    batch = deps.new_batch_id()
    for document, content in read_contents(deps, documents, recipe):
        made = requests.make(document, content, custom_id(document.path, 0, batch))
        yield document, None if isinstance(made, Document) else len(made[1])


def costs_at_most(
    deps: Deps, recipe: Recipe, documents: Iterable[Document]
) -> Iterator[tuple[Document, Decimal]]:
    """What the request of each may cost at most, in US dollars, as planning will count it.

    What ends without a request, and what has no price, costs nothing.
    """
    at_most = bound(recipe, deps.catalog)
    for document, size in request_sizes(deps, recipe, documents):
        cost = None if size is None else at_most(size)
        yield document, cost or Decimal(0)
