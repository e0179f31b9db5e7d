"""What the requests of a batch share is marked where enough do, and the effect is counted."""

import asyncio
import json

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.app.publish import publish
from shared.app.submit import submit
from shared.domain.caching import FEW
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, Home
from tests.app.jobs import REPORTED, fill, only, run

RULES = "A rule of this house, to be kept in every review that is written.\n" * 400


def use(home: Home, *lines: str) -> None:
    head = "\n".join(("model: claude-opus-4-6", "max_tokens: 1000", *lines))
    text = f"---\n{head}\n---\n{RULES}\n## Risks\n\n{{{{ document.text }}}}\n"
    home.recipe = parse_recipe(text, name="recipe.md", catalog=catalog())


def test_what_many_requests_share_is_cached_and_the_effect_is_told(home: Home) -> None:
    use(home)
    fill(home, 3 * FEW)
    home.see()
    run(home)
    assert only(home, REPORTED)
    totals = publish(home.deps, JOB).totals
    assert totals.usage.cache_creation_1h > 0
    assert totals.usage.cache_read > totals.usage.cache_creation_1h
    assert totals.saved_by_caching > 0
    said = json.loads((home.root / "output" / "summary.json").read_text())
    assert said["saved_by_caching_usd"] > 0
    [batch] = home.batches()
    assert batch.cost_at_most >= totals.cost


def test_the_effect_is_the_difference_to_the_same_without_a_mark(home: Home) -> None:
    use(home)
    fill(home, 3 * FEW)
    home.see()
    run(home)
    with_cache = home.batches()[0].totals
    use(home, "cache: off")
    for number in range(3 * FEW):
        home.write(f"d{number}.md", f"# Document {number}\n\nTEXT ")
    home.see()
    run(home)
    without = home.batches()[1].totals
    assert with_cache is not None
    assert without is not None
    assert without.saved_by_caching == 0
    gap = without.cost - with_cache.cost - with_cache.saved_by_caching
    # The simulator guesses tokens from bytes, and the mark cuts the prompt in two.
    assert abs(gap) < without.cost / 1000


def test_too_few_requests_are_not_marked(home: Home) -> None:
    use(home)
    fill(home, FEW - 1)
    home.see()
    run(home)
    [batch] = home.batches()
    assert not batch.cached
    assert batch.totals is not None
    assert batch.totals.usage.cache_creation_1h == 0


def test_a_plan_that_is_taken_up_again_has_the_same_marks(home: Home) -> None:
    use(home)
    fill(home, FEW)
    home.see()
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    [batch] = home.batches()
    assert batch.cached
    home.write("late.md", "one more")
    run(home)
    [batch] = home.batches()
    assert batch.totals is not None
    assert batch.totals.usage.cache_creation_1h > 0
