from decimal import Decimal

from shared.adapters.builtin import builtin_recipes, catalog
from shared.domain.estimate import USUAL_REPORT_TOKENS, bound, bound_in_all, estimate
from shared.domain.group import Load
from shared.domain.recipe import parse_recipe

RECIPE = parse_recipe(
    "---\nmodel: claude-opus-4-6\nmax_tokens: 10000\n---\n{{ document.text }}\n",
    name="recipe.md",
    catalog=catalog(),
)
AT_MOST = Decimal(20)
LOAD = Load(documents=100, bytes=400_000)


def test_batches_are_half_the_price() -> None:
    found = estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST)
    assert found.likely is not None
    assert found.likely_without_batches == 2 * found.likely


def test_reports_there_are_say_how_long_the_next_will_be() -> None:
    short = estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST, report_tokens=100)
    assert short.report_tokens == 100
    assert estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST).report_tokens == USUAL_REPORT_TOKENS
    assert (
        estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST, report_tokens=50_000).report_tokens
        == 10_000
    )


def test_a_model_without_a_price_has_no_estimate_in_dollars() -> None:
    recipe = parse_recipe(
        "---\nmodel: some-other-model\n---\n{{ document.text }}\n", name="r", catalog=catalog()
    )
    found = estimate(LOAD, recipe, catalog(), at_most=None)
    assert (found.likely, found.at_most) == (None, None)
    assert found.input_tokens > 0


def test_the_built_in_recipe_is_priced() -> None:
    recipe = parse_recipe(builtin_recipes()["project-analysis"], name="p", catalog=catalog())
    assert bound(recipe, catalog())(4000)


def test_no_guess_is_above_the_most_that_goes_in() -> None:
    guessed = estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST)
    most = guessed.input_tokens // 2
    found = estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST, most_tokens=most)
    assert found.input_tokens == most
    assert estimate(LOAD, RECIPE, catalog(), at_most=AT_MOST, most_tokens=10**9) == guessed


def test_what_may_go_on_may_cost_each_of_its_continuations() -> None:
    text = "---\nmodel: claude-opus-4-6\nmax_tokens: 10000\ncontinue: 2\n---\n{{ document.text }}\n"
    going_on = parse_recipe(text, name="recipe.md", catalog=catalog())
    once = bound(RECIPE, catalog())(4_000)
    in_all = bound_in_all(going_on, catalog())(4_000)
    assert once is not None
    assert in_all is not None
    # Twice more the answer, and the prompt with one and with two answers in it.
    assert in_all > 3 * once + 3 * 10_000 * Decimal("2.5e-6")
    assert bound_in_all(RECIPE, catalog())(4_000) == once
