"""From what was read of a document to the request that is sent for it, and what that may cost."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from shared.app.contents import UNKNOWN_CONTEXT, Read, read_contents
from shared.app.continuing import why_not
from shared.app.deps import Deps
from shared.app.report_places import blocked, has_report
from shared.app.spool import FRAME_BYTES
from shared.domain.attachment import Attachment, billed_at_most
from shared.domain.caching import marked
from shared.domain.document import (
    Document,
    DocumentStatus,
    Failure,
    failed,
    report_lost,
    unchanged,
)
from shared.domain.estimate import BYTES_PER_TOKEN, bound
from shared.domain.ids import CustomId, custom_id
from shared.domain.recipe import Recipe
from shared.domain.rendering import Renderer, RenderError, request_params
from shared.domain.unfinished import continuation

_ENCODE = msgspec.json.Encoder().encode


class Made(NamedTuple):
    """A request: `request` is encoded, `digest` is of the content it was made from, and `losses`
    say what it lacks of that. It is billed as `most_tokens` of input at most, besides what the
    provider adds, and likely as `likely_tokens`."""

    digest: str
    request: bytes
    most_tokens: int
    likely_tokens: int
    losses: tuple[str, ...] = ()


class Requests:
    """Turns what was read into requests, by one recipe; `cached` marks what they share."""

    def __init__(self, deps: Deps, recipe: Recipe, *, cached: bool = False) -> None:
        self.deps = deps
        self.recipe = recipe
        self._shared = recipe.shared if cached else None
        self._renderer = Renderer(recipe)
        model = deps.catalog.find(recipe.model)
        self._context = model.context_window if model else UNKNOWN_CONTEXT
        self._suffix = recipe.form.suffix
        self.plain = b""
        """The request made last, without marks: those depend on what is sent along."""

    def make(self, document: Document, content: Read, name: CustomId) -> Document | Made:
        """The request, or the document as it ends without one."""
        now = self.deps.clock()
        if isinstance(content, Failure):
            return failed(document, content, now=now)
        unfinished = (
            document.unfinished
            if document.unfinished and document.unfinished.digest == content.digest
            else None
        )
        if unfinished and (failure := why_not(document, content.kept, self.recipe.fingerprint)):
            return failed(document, failure, now=now)
        waits = document.status is DocumentStatus.WAITING
        if waits and unfinished is None and content.digest == document.reported_digest:
            # One that left the input and comes back may have lost its report meanwhile.
            lost = self.deps.policy.check_reports and not has_report(self.deps, document)
            return report_lost(document, now=now) if lost else unchanged(document)
        if waits and (failure := blocked(self.deps, document, self._suffix)) is not None:
            return failed(document, failure, now=now)
        try:
            prompt = self._renderer.render(content.input)
        except RenderError as error:
            return failed(document, Failure(type=error.type, message=error.message), now=now)
        attachments = content.input.attachments
        params = request_params(self.recipe, prompt, attachments)
        if unfinished and content.kept:
            params = continuation(params, content.kept.text)
        request = _ENCODE({"custom_id": name, "params": params})
        self.plain = request
        if self._shared is not None:
            request = _ENCODE({"custom_id": name, "params": marked(params, self._shared)})
        if (too_large := self._too_large(len(request), attached=bool(attachments))) is not None:
            return failed(document, too_large, now=now)
        if not attachments:
            size = len(request)
            return Made(content.digest, request, size, size // BYTES_PER_TOKEN, content.losses)
        return Made(
            content.digest,
            request,
            billed_at_most(attachments, encoded=len(request), context_tokens=self._context),
            _likely(attachments, len(request)),
            content.losses,
        )

    def _too_large(self, size: int, *, attached: bool) -> Failure | None:
        policy = self.deps.policy
        most, what = policy.max_batch_bytes - FRAME_BYTES, "a whole batch may have"
        if attached and policy.max_request_bytes < most:
            most, what = policy.max_request_bytes, "a request with attachments may have"
        if size <= most:
            return None
        message = f"its request is {size:,} bytes, more than {what} ({most:,}); split the document"
        return Failure(type="request_too_large", message=message)


def _likely(attachments: Sequence[Attachment], size: int) -> int:
    text = size - sum(len(each.data) for each in attachments)
    return text // BYTES_PER_TOKEN + sum(each.likely_tokens for each in attachments)


def made_requests(
    deps: Deps, recipe: Recipe, documents: Iterable[Document]
) -> Iterator[tuple[Document, Made | None]]:
    """The request of each, as planning will make it; None where it ends without one."""
    requests = Requests(deps, recipe, cached=True)
    batch = deps.new_batch_id()
    for document, content in read_contents(deps, documents, recipe):
        made = requests.make(document, content, custom_id(document.path, 0, batch))
        yield document, None if isinstance(made, Document) else made


def costs_at_most(
    deps: Deps, recipe: Recipe, documents: Iterable[Document]
) -> Iterator[tuple[Document, Decimal]]:
    """What the request of each may cost at most, in US dollars, as planning will count it.

    What ends without a request, and what has no price, costs nothing.
    """
    at_most = bound(recipe, deps.catalog)
    for document, made in made_requests(deps, recipe, documents):
        cost = None if made is None else at_most(made.most_tokens)
        yield document, cost or Decimal(0)
