from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.builtin import catalog
from shared.domain.catalog import Catalog, Usage, output_plan
from shared.domain.recipe_error import RecipeError

SMALL = """
as_of = 2026-11-20
source = "a test"
batch_discount = 0.5
us_inference_multiplier = 1.1
[[models]]
id = "m"
context_window = 1000
max_output = 100
[[models.prices]]
input = 1
cache_write_5m = 1.25
cache_write_1h = 2
cache_read = 0.1
output = 5
"""
EXTENDED = ("output-300k-2026-03-24",)
counts = st.integers(min_value=0, max_value=10**12)
usages = st.builds(
    Usage,
    input_tokens=counts,
    cache_creation_5m=counts,
    cache_creation_1h=counts,
    cache_read=counts,
    output_tokens=counts,
)


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("claude-fable-5-2", "8 10 16 0.20 40"),
        ("claude-fable-5-1", "10 12.50 20 0.25 50"),
        ("claude-fable-5", "10 12.50 20 1.00 50"),
        ("claude-mythos-5", "10 12.50 20 1.00 50"),
        ("claude-opus-5-5", "4 5 8 0.20 20"),
        ("claude-opus-5", "5 6.25 10 0.50 25"),
        ("claude-opus-4-8", "5 6.25 10 0.50 25"),
        ("claude-opus-4-7", "5 6.25 10 0.50 25"),
        ("claude-opus-4-6", "5 6.25 10 0.50 25"),
        ("claude-opus-4-5", "5 6.25 10 0.50 25"),
        ("claude-sonnet-5-5", "2 2.50 4 0.20 10"),
        ("claude-sonnet-5", "2 2.50 4 0.20 10"),
        ("claude-sonnet-4-6", "3 3.75 6 0.30 15"),
        ("claude-sonnet-4-5", "3 3.75 6 0.30 15"),
        ("claude-haiku-5-5", "0.10 0.125 0.20 0.01 0.50"),
        ("claude-haiku-4-5", "1 1.25 2 0.10 5"),
    ],
)
def test_every_price_is_the_fact_sheets(model: str, columns: str) -> None:
    found = catalog().find(model)
    assert found is not None
    table = found.prices[0]
    listed = (
        table.input,
        table.cache_write_5m,
        table.cache_write_1h,
        table.cache_read,
        table.output,
    )
    assert listed == tuple(Decimal(column) for column in columns.split())


@pytest.mark.parametrize("name", ["mythos-5-1", "mythos-5-2", "mythos-preview"])
def test_a_model_without_a_known_price_is_listed_and_its_cost_is_unknown(name: str) -> None:
    model = catalog().find(f"claude-{name}")
    assert model is not None
    assert model.max_output == 128_000
    assert catalog().cost(model, Usage(input_tokens=1), batch=True) is None
    assert catalog().cost(None, Usage(input_tokens=1), batch=True) is None


def test_a_dated_id_means_the_same_model() -> None:
    found = catalog().find("claude-haiku-4-5-20251001")
    assert found is catalog().find("claude-haiku-4-5")
    assert catalog().find("claude-haiku-4-5-2025100") is None


def test_facts_carry_their_date_their_doubts_and_the_end_of_life() -> None:
    facts = catalog()
    assert facts.as_of == date(2026, 11, 20)
    sonnet = facts.find("claude-sonnet-4-5")
    assert sonnet is not None
    assert sonnet.end_of_life == date(2026, 11, 30)
    fable = facts.find("claude-fable-5-2")
    assert fable is not None
    assert fable.prices[0].uncertain == {"cache_write_5m", "cache_write_1h", "cache_read"}


def test_a_misspelt_model_has_a_nearest_one() -> None:
    assert catalog().nearest("claude-opus-4.6") == "claude-opus-4-6"
    assert catalog().nearest("gpt-9") is None


def test_every_kind_of_token_is_charged_at_its_own_price() -> None:
    opus = catalog().find("claude-opus-4-6")
    million = 1_000_000
    usage = Usage(
        input_tokens=million,
        cache_creation_5m=million,
        cache_creation_1h=million,
        cache_read=million,
        output_tokens=million,
    )
    assert catalog().cost(opus, usage, batch=False) == Decimal("46.75")
    assert catalog().cost(opus, usage, batch=True) == Decimal("23.375")
    in_the_us = catalog().cost(opus, usage, batch=True, inference_geo="us")
    assert in_the_us == Decimal("25.7125")
    assert catalog().cost(opus, usage, batch=True, inference_geo="global") == Decimal("23.375")


def test_models_before_4_6_cost_the_same_everywhere() -> None:
    haiku = catalog().find("claude-haiku-4-5")
    usage = Usage(input_tokens=1_000_000)
    assert catalog().cost(haiku, usage, batch=False, inference_geo="us") == Decimal(1)


def test_one_token_costs_exactly_its_fraction_of_a_dollar() -> None:
    haiku = catalog().find("claude-haiku-5-5")
    cost = catalog().cost(haiku, Usage(cache_creation_5m=1), batch=True, inference_geo="us")
    assert cost == Decimal("0.00000006875")


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(input_tokens=100_000), "0.01"),
        (Usage(input_tokens=100_001), "0.0500005"),
        (Usage(input_tokens=1, cache_read=100_000), "0.0050005"),
        (Usage(input_tokens=60_000, output_tokens=60_000), "0.036"),
    ],
)
def test_the_whole_prompt_decides_the_price_table_and_output_does_not(
    usage: Usage, dollars: str
) -> None:
    haiku = catalog().find("claude-haiku-5-5")
    assert catalog().cost(haiku, usage, batch=False) == Decimal(dollars)


@given(usages, usages)
def test_costs_of_one_table_add_up_exactly(first: Usage, second: Usage) -> None:
    opus = catalog().find("claude-opus-5-5")
    one = catalog().cost(opus, first, batch=True)
    two = catalog().cost(opus, second, batch=True)
    assert one is not None
    assert two is not None
    assert catalog().cost(opus, first + second, batch=True) == one + two
    assert first + Usage() == first


@pytest.mark.parametrize(
    ("model", "max_tokens", "betas"),
    [
        ("claude-opus-4-6", 128_000, ()),
        ("claude-opus-4-6", 128_001, EXTENDED),
        ("claude-opus-4-6", 300_000, EXTENDED),
        ("claude-haiku-5-5", 300_000, EXTENDED),
        ("claude-haiku-4-5", 64_000, ()),
        ("some-other-model", 1_000_000, ()),
    ],
)
def test_extended_output_takes_its_header_only_where_it_is_needed(
    model: str, max_tokens: int, betas: tuple[str, ...]
) -> None:
    assert output_plan(catalog().find(model), max_tokens) == betas


@pytest.mark.parametrize(
    ("model", "max_tokens", "cap"),
    [
        ("claude-opus-4-6", 300_001, "300,000"),
        ("claude-haiku-4-5", 64_001, "64,000"),
        ("claude-opus-4-5", 100_000, "64,000"),
        ("claude-fable-5", 128_001, "128,000"),
    ],
)
def test_more_output_than_a_model_can_give_is_refused_with_its_cap(
    model: str, max_tokens: int, cap: str
) -> None:
    with pytest.raises(RecipeError, match=f"{cap} output tokens that {model} can give; lower"):
        output_plan(catalog().find(model), max_tokens)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch_discount", "batch_discout", "the catalog has unknown keys: batch_discout"),
        ("max_output", "max_ouput", "model 'm' has unknown keys: max_ouput"),
        ("output = 5", "ouput = 5", "a price table of model 'm' has unknown keys: ouput"),
        ("output = 5", "output = -5", "prices are dollars"),
        ("output = 5", "output = nan", "nan is not a number"),
        ("output = 5", "output = true", "Expected `decimal`, got `bool`"),
        ("output = 5", "", "missing required field `output`"),
        ("output = 5", 'output = 5\nuncertain = ["ouput"]', "uncertain names something else"),
        ("output = 5", "output = 5\nup_to_prompt_tokens = 10", "the last table has none"),
        ("max_output = 100", "max_output = 1001", "max_output lies between"),
        ("max_output = 100", "max_output = 100\nextended_output = 200", "go together"),
        ("max_output = 100", 'max_output = 100\naliases = ["m"]', "listed twice: m"),
        ("= 0.5", "= 50", "batch_discount is a factor"),
        ("= 1.1", "= 0.9", "us_inference_multiplier is a factor"),
        ("= 2026-11-20", "= 3", "Expected `date`"),
        ("[[models]]", "[models]", "Expected `array`, got `object`"),
    ],
)
def test_a_faulty_catalog_is_refused_with_its_place(old: str, new: str, message: str) -> None:
    assert Catalog.parse(SMALL).find("m") is not None
    with pytest.raises(ValueError, match=message):
        Catalog.parse(SMALL.replace(old, new, 1))
