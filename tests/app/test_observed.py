"""What documents came to, read again from their results."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from shared.adapters.builtin import catalog
from shared.app.observed import observe
from shared.domain.projection import Observed, quality
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home
from tests.app.jobs import fill, run


def seen(home: Home) -> Mapping[str, Observed]:
    return asyncio.run(observe(home.deps, JOB, home.recipe, home.documents().keys()))


def test_it_adds_up_to_what_the_job_cost(home: Home) -> None:
    fill(home, 6)
    home.write("dump.dat", bytes(range(256)))
    home.simulator.faults.truncate_rate = 0.5
    home.see()
    assert seen(home) == {}, "nothing has come to its end"
    run(home)
    totals = [batch.totals for batch in home.batches() if batch.totals]
    found = quality(list(seen(home).values()))
    assert found.cost == sum((each.cost for each in totals), Decimal(0))
    assert found.input_tokens == sum(each.usage.prompt_tokens for each in totals)
    assert found.output_tokens == sum(each.usage.output_tokens for each in totals)
    assert (found.reported, found.truncated) == (6, sum(each.truncated for each in totals))
    assert found.failures == {"unsupported_type": 1}


def test_other_recipes_reports_and_results_that_are_gone_are_not_in_it(home: Home) -> None:
    fill(home, 3)
    home.see()
    run(home)
    assert len(seen(home)) == 3
    own = home.recipe
    home.recipe = parse_recipe(f"{RECIPE} more", name="recipe.md", catalog=catalog())
    assert seen(home) == {}
    home.recipe = own
    home.later(days=30)
    home.simulator.tick(home.now)
    assert seen(home) == {}


def test_without_a_price_the_cost_is_unknown_and_the_rest_is_known(home: Home) -> None:
    home.recipe = parse_recipe(
        RECIPE.replace("claude-opus-4-6", "claude-mythos-5-2"), name="r.md", catalog=catalog()
    )
    home.deps = replace(home.deps, recipe=lambda _: home.recipe)
    fill(home, 2)
    home.see()
    run(home)
    found = quality(list(seen(home).values()))
    assert (found.reported, found.cost) == (2, None)
    assert found.output_tokens > 0


def test_copies_are_counted_and_cost_nothing(home: Home) -> None:
    fill(home, 2)
    for path in ("copy.md", "copy2.md"):
        home.write(path, (home.root / "input" / "d0.md").read_text())
    home.see()
    run(home)
    home.write("x/later.md", (home.root / "input" / "d1.md").read_text())
    home.see()
    run(home)
    assert home.requested() == 2
    totals = [batch.totals for batch in home.batches() if batch.totals]
    found = quality(list(seen(home).values()))
    assert found.reported == 5
    assert found.cost == sum((each.cost for each in totals), Decimal(0))
    assert found.output_tokens == sum(each.usage.output_tokens for each in totals)
    assert found.report_tokens == found.output_tokens // 2
