"""What a run may cost, before anything is spent. Tokens are guessed from bytes; money is not.

What is likely is a guess. What it costs at most is a bound that holds: no byte of a prompt is more
than one token, and no answer is longer than `max_tokens`.
"""

from dataclasses import dataclass
from decimal import Decimal

from shared.domain.catalog import Catalog, Usage
from shared.domain.group import Load
from shared.domain.recipe import Recipe

BYTES_PER_TOKEN = 3
"""Cautious: English prose has about four, code and other languages fewer (heuristic)."""

ADDED_TOKENS = 1_000
"""What the provider may put around a prompt of ours (assumption; some hundreds have been seen)."""

USUAL_REPORT_TOKENS = 2_000
"""How long a report is taken to be until this output has reports to go by (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """For documents that wait. Amounts are None where the model's price isn't known."""

    documents: int
    input_tokens: int
    report_tokens: int
    likely: Decimal | None
    at_most: Decimal | None
    likely_without_batches: Decimal | None


def estimate(
    load: Load, recipe: Recipe, catalog: Catalog, *, report_tokens: int | None = None
) -> Estimate:
    """Estimate from the bytes that wait; `report_tokens` is the mean of reports there are."""
    prompt = len(recipe.template.encode()) + len((recipe.system or "").encode()) + 400
    size = load.bytes + load.documents * prompt
    input_tokens = size // BYTES_PER_TOKEN
    model = catalog.find(recipe.model)
    each = min(report_tokens or USUAL_REPORT_TOKENS, recipe.max_tokens)

    def likely(*, batch: bool) -> Decimal | None:
        if not load.documents:
            return Decimal(0)
        one = Usage(input_tokens=input_tokens // load.documents, output_tokens=each)
        price = catalog.cost(model, one, batch=batch, inference_geo=recipe.inference_geo)
        return None if price is None else price * load.documents

    longest = most_one_costs(recipe, catalog, size // max(load.documents, 1) + 1)
    return Estimate(
        documents=load.documents,
        input_tokens=input_tokens,
        report_tokens=each,
        likely=likely(batch=True),
        at_most=None if longest is None else longest * load.documents,
        likely_without_batches=likely(batch=False),
    )


def most_one_costs(recipe: Recipe, catalog: Catalog, request_bytes: int) -> Decimal | None:
    """US dollars that one request of so many bytes costs at most; None without a price."""
    prompt = request_bytes + ADDED_TOKENS
    usage = Usage(
        input_tokens=0 if recipe.writes_cache else prompt,
        cache_creation_1h=prompt if recipe.writes_cache else 0,
        output_tokens=recipe.max_tokens,
    )
    model = catalog.find(recipe.model)
    return catalog.cost(model, usage, batch=True, inference_geo=recipe.inference_geo)
