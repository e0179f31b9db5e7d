"""What a run may cost, before anything is spent. Tokens are guessed from bytes; money is not.

What is likely is a guess. What it costs at most is a bound that holds: no byte of a prompt is more
than one token, no answer is longer than `max_tokens`, and each is paid for so many times at most.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from shared.domain.catalog import Catalog, Usage
from shared.domain.group import Load
from shared.domain.recipe import Recipe
from shared.domain.system_prompt import ATTACHED_NOTE
from shared.domain.unfinished import GO_ON

BYTES_PER_TOKEN = 3
"""Cautious: English prose has about four, code and other languages fewer (heuristic)."""

ADDED_TOKENS = 1_000
"""What the provider may put around a prompt of ours (assumption; some hundreds have been seen)."""

USUAL_REPORT_TOKENS = 2_000
"""How long a report is taken to be until this output has reports to go by (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """For documents that wait; `requests` are more where some are too long for one, and each may
    be paid for `tries` times. Amounts are None where the model's price isn't known."""

    documents: int
    requests: int
    input_tokens: int
    report_tokens: int
    likely: Decimal | None
    at_most: Decimal | None
    likely_without_batches: Decimal | None
    tries: int = 1


def estimate(
    load: Load,
    recipe: Recipe,
    catalog: Catalog,
    *,
    at_most: Decimal | None,
    report_tokens: int | None = None,
    input_tokens: int | None = None,
    requests: int | None = None,
    merged: int = 0,
    most_tokens: int | None = None,
    tries: int = 1,
) -> Estimate:
    """Estimate from the bytes that wait; `at_most` is the sum of the bounds of all their `tries`,
    `report_tokens` the mean of reports there are, `input_tokens` what was counted, `merged` how
    many answers about parts of long documents are read once more, `most_tokens` what no
    guess is above."""
    count = load.documents if requests is None else requests
    model = catalog.find(recipe.model)
    each = min(report_tokens or USUAL_REPORT_TOKENS, recipe.max_tokens)
    if input_tokens is None:
        size = load.bytes + count * prompt_bytes(recipe)
        guessed = size // BYTES_PER_TOKEN + merged * each
        input_tokens = guessed if most_tokens is None else min(guessed, most_tokens)

    def likely(*, batch: bool) -> Decimal | None:
        if not count:
            return Decimal(0)
        one = Usage(input_tokens=input_tokens // count, output_tokens=each)
        price = catalog.cost(model, one, batch=batch, inference_geo=recipe.inference_geo)
        return None if price is None else price * count

    return Estimate(
        documents=load.documents,
        requests=count,
        input_tokens=input_tokens,
        report_tokens=each,
        likely=likely(batch=True),
        at_most=at_most,
        likely_without_batches=likely(batch=False),
        tries=tries,
    )


def prompt_bytes(recipe: Recipe) -> int:
    """How much is sent with each document, about."""
    return len(recipe.template.encode()) + len((recipe.system or "").encode()) + 400


def bound(recipe: Recipe, catalog: Catalog) -> Callable[[int], Decimal | None]:
    """What one request of so many bytes costs at most, in US dollars; None without a price."""
    model = catalog.find(recipe.model)
    shared = recipe.shared.size + _beside_shared(recipe) if recipe.shared else 0

    def cost(prompt: int, output: int) -> Decimal | None:
        written = prompt if recipe.writes_cache else min(shared, prompt)
        usage = Usage(
            input_tokens=prompt - written, cache_creation_1h=written, output_tokens=output
        )
        return catalog.cost(model, usage, batch=True, inference_geo=recipe.inference_geo)

    least = shared + 1
    token, answer = cost(least + 1, 0), cost(least, recipe.max_tokens)
    base = cost(least, 0)
    if model is not None and len(model.prices) == 1 and token and answer and base:
        # One table of prices: a line from there on, and quicker so.
        each, longest = token - base, answer
        return lambda size: (size + ADDED_TOKENS - least) * each + longest
    return lambda size: cost(size + ADDED_TOKENS, recipe.max_tokens)


def _beside_shared(recipe: Recipe) -> int:
    """What may be cached along with what a recipe shares: what attachments, a schema and the
    provider add to the system prompt."""
    schema = len(json.dumps(recipe.form.sent_format)) if recipe.form.fields else 0
    return len(ATTACHED_NOTE) + schema + ADDED_TOKENS


def bound_in_all(recipe: Recipe, catalog: Catalog) -> Callable[[int], Decimal | None]:
    """The same with every continuation that the recipe allows: each has the answer so far in its
    prompt."""
    once = bound(recipe, catalog)
    step = recipe.max_tokens + len(GO_ON)

    def cost(size: int) -> Decimal | None:
        parts = [once(size + number * step) for number in range(recipe.continuations + 1)]
        return None if None in parts else sum((part or Decimal(0) for part in parts), Decimal(0))

    return cost if recipe.continuations else once
