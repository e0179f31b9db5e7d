"""What a run may cost, before anything is spent. Tokens are guessed from bytes; money is not."""

from dataclasses import dataclass
from decimal import Decimal

from shared.domain.catalog import Catalog, Usage
from shared.domain.group import Load
from shared.domain.recipe import Recipe

BYTES_PER_TOKEN = 3
"""Cautious: English prose has about four, code and other languages fewer (heuristic)."""

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
    input_tokens = (load.bytes + load.documents * prompt) // BYTES_PER_TOKEN
    model = catalog.find(recipe.model)
    each = min(report_tokens or USUAL_REPORT_TOKENS, recipe.max_tokens)

    def cost(output: int, *, batch: bool) -> Decimal | None:
        if not load.documents:
            return Decimal(0)
        one = Usage(input_tokens=input_tokens // load.documents, output_tokens=output)
        price = catalog.cost(model, one, batch=batch, inference_geo=recipe.inference_geo)
        return None if price is None else price * load.documents

    return Estimate(
        documents=load.documents,
        input_tokens=input_tokens,
        report_tokens=each,
        likely=cost(each, batch=True),
        at_most=cost(recipe.max_tokens, batch=True),
        likely_without_batches=cost(each, batch=False),
    )
