"""From what was read of a document to the request that is sent for it, and what that may cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from shared.app.contents import UNKNOWN_CONTEXT, Read, Ready, read_contents
from shared.app.continuing import why_not
from shared.app.deps import Deps
from shared.app.long_costs import Needed
from shared.app.long_documents import Asked, LongDocuments
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
from shared.domain.estimate import BYTES_PER_TOKEN, bound, prompt_bytes
from shared.domain.ids import CustomId, custom_id
from shared.domain.recipe import Recipe
from shared.domain.rendering import Renderer, RenderError, request_params
from shared.domain.unfinished import Unfinished, continuation

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

    def __init__(
        self, deps: Deps, recipe: Recipe, *, cached: bool = False, tidy: bool = True
    ) -> None:
        """Without `tidy` parts that nobody waits for any more are left where they are."""
        self.deps = deps
        self.recipe = recipe
        self._shared = recipe.shared if cached else None
        self._renderer = Renderer(recipe)
        self.long = LongDocuments(deps, recipe, self._renderer, tidy=tidy)
        model = deps.catalog.find(recipe.model)
        self._context = model.context_window if model else UNKNOWN_CONTEXT
        self._suffix = recipe.form.suffix
        self.plain: bytes | None = None
        """The request made last, without marks: those depend on what is sent along. None where it
        is about a part of a document, or merges: its answer is for one document only, so it is
        compared with no other."""

    def make(self, document: Document, content: Read, name: CustomId) -> Document | Made:
        """The request, or the document as it goes on without one."""
        now = self.deps.clock()
        if isinstance(content, Failure):
            return failed(document, content, now=now)
        unfinished = _unfinished(document, content)
        if unfinished and (failure := why_not(document, content.kept, self.recipe.fingerprint)):
            return failed(document, failure, now=now)
        waits = document.status is DocumentStatus.WAITING and document.part is None
        if waits and unfinished is None and content.digest == document.reported_digest:
            # One that left the input and comes back may have lost its report meanwhile.
            lost = self.deps.policy.check_reports and not has_report(self.deps, document)
            self.long.drop(document)
            return report_lost(document, now=now) if lost else unchanged(document)
        if waits and (failure := blocked(self.deps, document, self._suffix)) is not None:
            return failed(document, failure, now=now)
        try:
            # Only what was sent whole is to go on, and so it stays whole.
            staged = None if unfinished else self.long.asked(document, content)
            if isinstance(staged, Document):
                return staged
            asked = staged
            if asked is None:
                prompt = self._renderer.render(content.input)
                asked = Asked(prompt, content.input.attachments, content.losses)
        except RenderError as error:
            return failed(document, Failure(type=error.type, message=error.message), now=now)
        prompt, attachments, losses = asked
        params = request_params(self.recipe, prompt, attachments)
        if unfinished and content.kept:
            params = continuation(params, content.kept.text)
        request = self._request(params, name)
        self.plain = None if staged else self._unmarked(request, params, name)
        remedy = document.content.remedy
        too_large = self._too_large(len(request), attached=bool(attachments), remedy=remedy)
        if too_large is not None:
            return failed(document, too_large, now=now)
        if not attachments:
            size = len(request)
            return Made(content.digest, request, size, size // BYTES_PER_TOKEN, losses)
        return Made(
            content.digest,
            request,
            billed_at_most(attachments, encoded=len(request), context_tokens=self._context),
            _likely(attachments, len(request)),
            losses,
        )

    def _too_large(self, size: int, *, attached: bool, remedy: str) -> Failure | None:
        policy = self.deps.policy
        most, what = policy.max_batch_bytes - FRAME_BYTES, "a whole batch may have"
        if attached and policy.max_request_bytes < most:
            most, what = policy.max_request_bytes, "a request with attachments may have"
        if size <= most:
            return None
        message = f"its request is {size:,} bytes, more than {what} ({most:,}); {remedy}"
        return Failure(type="request_too_large", message=message)

    def costs(
        self, document: Document, content: Read, at_most: Callable[[int], Decimal | None]
    ) -> Decimal:
        """What it may cost to split a document, to ask about its parts and to merge them; nothing
        for one that isn't about to be split."""
        if document.part is not None or not isinstance(content, Ready):
            return Decimal(0)
        needed = self._if_long(document, content)
        sizes = needed.sizes if needed is not None else ()
        return sum((at_most(size) or Decimal(0) for size in sizes), Decimal(0))

    def needed(self, document: Document, content: Read, name: CustomId) -> Needed:
        """The requests that a document needs still, as planning will make them."""
        if isinstance(content, Ready):
            needed = self._if_long(document, content)
            if needed is not None:
                return needed
        made = self.make(document, content, name)
        if isinstance(made, Document):
            return Needed(sizes=[], likely=0, failure=made.failure)
        sizes = [made.most_tokens]
        if isinstance(content, Ready) and _is_split_if_need_be(document, content):
            sizes = self.long.costs.if_split(document, content, self._encoded, sizes)
        return Needed(
            sizes=sizes,
            likely=1,
            bytes=len(made.request),
            text=max(made.likely_tokens * BYTES_PER_TOKEN - prompt_bytes(self.recipe), 0),
        )

    def _if_long(self, document: Document, content: Ready) -> Needed | None:
        if document.part is not None or _unfinished(document, content):
            return None
        if not self.long.is_too_long(document, content):
            return None
        try:
            return self.long.costs.needed(document, content, self._encoded)
        except RenderError as error:
            failure = Failure(type=error.type, message=error.message)
            return Needed(sizes=[], likely=0, failure=failure)

    def _encoded(self, prompt: str, name: CustomId) -> bytes:
        return self._request(request_params(self.recipe, prompt), name)

    def _unmarked(self, request: bytes, params: dict[str, Any], name: CustomId) -> bytes:
        return request if not self._shared else _ENCODE({"custom_id": name, "params": params})

    def _request(self, params: dict[str, Any], name: CustomId) -> bytes:
        """What is sent: with marks where they are to be. Notes about parts stand below the prompt,
        so the marks on what it begins with hold for parts as well."""
        shared = self._shared
        return _ENCODE({"custom_id": name, "params": marked(params, shared) if shared else params})


def _unfinished(document: Document, content: Ready) -> Unfinished | None:
    """What there is of a report of this content, if the rest is to be asked for."""
    found = document.unfinished
    return found if found and found.digest == content.digest else None


def _is_split_if_need_be(document: Document, content: Ready) -> bool:
    if document.part is not None or _unfinished(document, content):
        return False
    return content.pdf is not None or not content.input.attachments


def needed_requests(
    deps: Deps, recipe: Recipe, documents: Iterable[Document]
) -> Iterator[tuple[Document, Needed]]:
    """The requests of each, as planning will make them: several where it is too long for one, none
    where it ends without one."""
    requests = Requests(deps, recipe, cached=True, tidy=False)
    batch = deps.new_batch_id()
    for document, content in read_contents(deps, documents, recipe):
        yield document, requests.needed(document, content, custom_id(document.path, 0, batch))


def _likely(attachments: Sequence[Attachment], size: int) -> int:
    text = size - sum(len(each.data) for each in attachments)
    return text // BYTES_PER_TOKEN + sum(each.likely_tokens for each in attachments)


def costs_at_most(
    deps: Deps, recipe: Recipe, documents: Iterable[Document]
) -> Iterator[tuple[Document, Decimal]]:
    """What the request of each may cost at most, in US dollars, as planning will count it.

    What ends without a request, and what has no price, costs nothing.
    """
    at_most = bound(recipe, deps.catalog)
    for document, needed in needed_requests(deps, recipe, documents):
        yield document, sum((at_most(size) or Decimal(0) for size in needed.sizes), Decimal(0))
