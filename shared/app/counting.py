"""Tokens before anything is submitted: the API counts those of some requests, as the model does."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec

from shared.app.candidates import waiting_of
from shared.app.chosen import only
from shared.app.contents import Ready, read_contents
from shared.app.deps import Deps
from shared.app.load import Waiting, waiting
from shared.app.requests import Requests
from shared.domain.counting import MOST_BYTES, MOST_COUNTED, Counted, InputTokens, scaled
from shared.domain.document import Document
from shared.domain.ids import JobName, custom_id
from shared.domain.pause import PauseReason
from shared.domain.recipe import Recipe
from shared.domain.sample import Kind, kind_of, shown
from shared.ports.batch_api import Refused, Unavailable
from shared.ports.token_counter import TokenCounter

_AT_ONCE = 4
_PATIENCE_S = 30.0
"""For all of it; who has been answered for some by then goes by those."""

_DECODE = msgspec.json.Decoder().decode


async def count_waiting(
    deps: Deps,
    counter: TokenCounter,
    job: JobName,
    recipe: Recipe,
    *,
    found: Waiting,
    also: Callable[[], Iterable[Document]],
    patience_s: float = _PATIENCE_S,
) -> InputTokens | None:
    """Tokens of `found`, which is what waits and what is `also` about to; None where nothing of it
    has a request that can be counted.

    Raises Refused or Unavailable where no document could be counted, BlobStoreUnavailable.
    """
    chosen = _chosen(lambda: chain(waiting_of(deps, job), also()))
    counted: list[Counted] = []
    troubles: list[Refused | Unavailable] = []
    left = _requests(deps, job, recipe, chosen)  # one after the other, as each may be long

    async def count_in_turn() -> None:
        for guessed, params in left:
            try:
                tokens = await counter.count_tokens(params)
            except Refused as error:  # this one may be too long; others aren't
                troubles.append(error)
            except Unavailable as error:
                troubles.append(error)
                return
            else:
                counted.append(Counted(guessed=guessed, tokens=tokens))

    try:
        async with asyncio.timeout(patience_s):
            await asyncio.gather(*(count_in_turn() for _ in range(_AT_ONCE)))
    except TimeoutError:
        troubles.append(Unavailable("no answer in time", reason=PauseReason.UNREACHABLE))
    if not counted:
        if troubles:
            raise troubles[0]
        return None
    return scaled(
        counted,
        requests=found.requests.total(),
        guessed=found.estimate(recipe, deps.catalog).input_tokens,
        model=recipe.model,
    )


def _chosen(documents: Callable[[], Iterable[Document]]) -> list[Document]:
    """Some of the documents, of all kinds and sizes; they are gone through twice."""
    places = shown((_kind(each), each.content.size) for each in documents()).chosen(MOST_COUNTED)
    return [each for place, each in enumerate(documents()) if place in places]


def _kind(document: Document) -> Kind:
    is_row = document.content.is_row
    return kind_of(document.path, is_row=is_row, group=document.group)


def _requests(
    deps: Deps, job: JobName, recipe: Recipe, documents: list[Document]
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The params of each document that is one request, and what its tokens are guessed to be."""
    requests = Requests(deps, recipe, tidy=False)
    batch = deps.new_batch_id()
    nothing = replace(deps, store=only(deps.store, job, ()))
    for document, content in read_contents(deps, documents, recipe):
        if isinstance(content, Ready) and requests.long.is_too_long(document, content):
            continue  # several
        made = requests.make(document, content, custom_id(document.path, 0, batch))
        if isinstance(made, Document) or len(made.request) > MOST_BYTES:
            continue
        alone = waiting(nothing, job, recipe, also=(document,))
        if alone.requests.total() == 1:
            guess = alone.estimate(recipe, deps.catalog)
            yield guess.input_tokens, _DECODE(made.request)["params"]
