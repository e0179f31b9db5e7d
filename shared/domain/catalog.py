"""Models, their limits and their prices. Money is exact: `Decimal`, never rounded here.

The facts are data (`shared/data/models.toml`), with their source and date; this module only
checks and applies them. A model that is not listed still runs: its cost is unknown (None), not
zero, and its limits are the API's to check.
"""

import difflib
import tomllib
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from shared.domain.recipe_error import RecipeError
from shared.domain.record import Record

MILLION_TOKENS = Decimal("1e-6")


class Usage(Record, frozen=True, kw_only=True):
    """Tokens as the API counts them: `input_tokens` leaves out what was written to or read
    from the cache. `Usage()` is zero."""

    input_tokens: int = 0
    cache_creation_5m: int = 0
    cache_creation_1h: int = 0
    cache_read: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_creation_5m=self.cache_creation_5m + other.cache_creation_5m,
            cache_creation_1h=self.cache_creation_1h + other.cache_creation_1h,
            cache_read=self.cache_read + other.cache_read,
            output_tokens=self.output_tokens + other.output_tokens,
        )

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input_tokens + self.cache_creation_5m + self.cache_creation_1h + self.cache_read


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Standard US dollars per million tokens, for prompts up to a size (None: any).

    `uncertain` names the columns that were reported or derived, not documented.
    """

    input: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    cache_read: Decimal
    output: Decimal
    up_to_prompt_tokens: int | None = None
    uncertain: frozenset[str] = frozenset()

    def of(self, usage: Usage) -> Decimal:
        """Dollars for `usage` at the standard price."""
        return MILLION_TOKENS * (
            usage.input_tokens * self.input
            + usage.cache_creation_5m * self.cache_write_5m
            + usage.cache_creation_1h * self.cache_write_1h
            + usage.cache_read * self.cache_read
            + usage.output_tokens * self.output
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's limits, in tokens, and its prices: tables by growing prompt size, or none."""

    id: str
    aliases: tuple[str, ...] = ()
    context_window: int
    max_output: int
    extended_output: int | None = None
    extended_output_beta: str | None = None
    min_cacheable_tokens: int | None = None
    us_inference: bool = False
    end_of_life: date | None = None
    uncertain: frozenset[str] = frozenset()
    prices: tuple[Prices, ...] = ()

    def prices_for(self, prompt_tokens: int) -> Prices | None:
        """The table that a prompt of this size is charged by; None when no price is known."""
        for table in self.prices:
            if table.up_to_prompt_tokens is None or prompt_tokens <= table.up_to_prompt_tokens:
                return table
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How images and the pages of a PDF are seen and billed, whichever model it is.

    An image is seen with `image_edge_px` at its longer side at most, as `image_tokens` at most. A
    page is an image, usually of `page_image_tokens`, and its text, up to `page_text_tokens` where
    it can't be told. `uncertain` names what was reported or assumed, not documented.
    """

    image_edge_px: int = 2_576
    image_tokens: int = 4_784
    page_image_tokens: int = 1_600
    page_text_tokens: int = 3_000
    uncertain: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What is known of the models, as of a day. `batch_discount` is a factor, not a percentage."""

    as_of: date
    source: str
    batch_discount: Decimal
    us_inference_multiplier: Decimal
    models: tuple[Model, ...]
    sight: Sight = Sight()

    @classmethod
    def parse(cls, toml_text: str) -> "Catalog":
        """The catalog of a TOML file like `shared/data/models.toml`.

        Raises ValueError, with the place, for anything unknown, missing, of the wrong type,
        or contradictory.
        """
        raw = tomllib.loads(toml_text, parse_float=_finite)
        _refuse_unknown_keys(raw)
        catalog = msgspec.convert(raw, cls)
        _check(catalog)
        return catalog

    def find(self, model_id: str) -> Model | None:
        """The model of this id or alias."""
        for model in self.models:
            if model_id == model.id or model_id in model.aliases:
                return model
        return None

    def nearest(self, model_id: str) -> str | None:
        """The listed id that an unlisted one may have been meant for."""
        known = [name for model in self.models for name in (model.id, *model.aliases)]
        return next(iter(difflib.get_close_matches(model_id, known, n=1, cutoff=0.8)), None)

    def cost(
        self, model: Model | None, usage: Usage, *, batch: bool, inference_geo: str | None = None
    ) -> Decimal | None:
        """US dollars for one request's `usage`, exact; None when the price is not known.

        Take it per request: prices that depend on the prompt's size can't be told from a sum.
        """
        prices = model.prices_for(usage.prompt_tokens) if model else None
        if model is None or prices is None:
            return None
        dollars = prices.of(usage)
        if batch:
            dollars *= self.batch_discount
        if inference_geo == "us" and model.us_inference:
            dollars *= self.us_inference_multiplier
        return dollars

    def saved_by_caching(
        self, model: Model | None, usage: Usage, *, inference_geo: str | None = None
    ) -> Decimal:
        """How much more one request would cost in a batch without the cache, in US dollars."""
        if usage.prompt_tokens == usage.input_tokens:
            return Decimal(0)
        plain = Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.output_tokens)
        without = self.cost(model, plain, batch=True, inference_geo=inference_geo)
        cost = self.cost(model, usage, batch=True, inference_geo=inference_geo)
        return Decimal(0) if without is None or cost is None else without - cost


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Two costs; None where one of them isn't known."""
    return None if one is None or other is None else one + other


def output_plan(model: Model | None, max_tokens: int) -> tuple[str, ...]:
    """The beta headers that `max_tokens` of output need. Raises RecipeError above the model's cap.

    A model that is not listed gets neither a check nor a header: its endpoint decides.
    """
    if model is None or max_tokens <= model.max_output:
        return ()
    cap = model.extended_output or model.max_output
    if model.extended_output_beta is None or max_tokens > cap:
        raise RecipeError(
            f"max_tokens: {max_tokens:,} is above the {cap:,} output tokens that {model.id} can "
            f"give; lower max_tokens to {cap:,} or choose another model"
        )
    return (model.extended_output_beta,)


def _finite(literal: str) -> Decimal:
    number = Decimal(literal)
    if not number.is_finite():
        raise ValueError(f"{literal} is not a number to calculate with")
    return number


def _refuse_unknown_keys(raw: dict[str, Any]) -> None:
    """A misspelt key would silently mean its default, so it is an error here."""
    tables: list[tuple[str, type, Any]] = [("the catalog", Catalog, raw)]
    models = raw.get("models", [])
    for model in models if isinstance(models, list) else []:
        if isinstance(model, dict):
            place = f"model {model.get('id')!r}"
            tables.append((place, Model, model))
            prices = model.get("prices", [])
            tables.extend(
                (f"a price table of {place}", Prices, table)
                for table in (prices if isinstance(prices, list) else [])
            )
    if "sight" in raw:
        tables.append(("the table of sight", Sight, raw["sight"]))
    for place, kind, table in tables:
        if not isinstance(table, dict):
            continue  # the wrong type is reported when the tables are converted
        unknown = sorted(table.keys() - {field.name for field in fields(kind)})
        if unknown:
            raise ValueError(f"{place} has unknown keys: {', '.join(unknown)}")


def _check(catalog: Catalog) -> None:
    if not 0 < catalog.batch_discount <= 1:
        raise ValueError("batch_discount is a factor above 0 and at most 1")
    if catalog.us_inference_multiplier < 1:
        raise ValueError("us_inference_multiplier is a factor of at least 1")
    figures = {field.name for field in fields(Sight)} - {"uncertain"}
    if not catalog.sight.uncertain <= figures:
        raise ValueError("sight: uncertain names something else than its keys")
    if any(not 0 < getattr(catalog.sight, figure) <= 100_000 for figure in figures):
        raise ValueError("sight: its figures lie between 1 and 100,000")
    names = [name for model in catalog.models for name in (model.id, *model.aliases)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"models listed twice: {', '.join(twice)}")
    for model in catalog.models:
        fault = _fault(model)
        if fault:
            raise ValueError(f"model {model.id!r}: {fault}")


def _fault(model: Model) -> str | None:
    if not 0 < model.max_output <= model.context_window:
        return "max_output lies between 1 and context_window"
    if (model.extended_output is None) != (model.extended_output_beta is None):
        return "extended_output and extended_output_beta go together"
    if model.extended_output is not None and model.extended_output <= model.max_output:
        return "extended_output lies above max_output"
    if not model.uncertain <= {field.name for field in fields(Model)}:
        return "uncertain names something else than the model's keys"
    columns = {field.name for field in fields(Prices)} - {"up_to_prompt_tokens", "uncertain"}
    for table in model.prices:
        if not table.uncertain <= columns:
            return "uncertain names something else than the columns of its price table"
        if any(not Decimal(0) <= getattr(table, column) < 100_000 for column in columns):
            return "prices are dollars per million tokens, from 0"
    *bounded, last = [table.up_to_prompt_tokens for table in model.prices] or [None]
    limits = [limit for limit in bounded if limit is not None]
    if last is not None or len(limits) < len(bounded) or limits != sorted(set(limits)):
        return "up_to_prompt_tokens grows from table to table, and the last table has none"
    return None
