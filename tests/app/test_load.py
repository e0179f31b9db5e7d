from dataclasses import replace
from decimal import Decimal

import pytest

from shared.adapters.builtin import catalog
from shared.app.load import waiting
from shared.domain.recipe import parse_recipe
from tests.app import fields
from tests.app.home import JOB, Home
from tests.app.jobs import fill, run

_HEAD = "---\nmodel: {model}\nmax_tokens: 100\n---\n"
_TEXTS = {
    "short.md": b"# Short\n",
    "long.md": b"word " * 20_000,
    "latin.txt": "Größere Mäuse, schöne Bücher über Königsgrüße. ".encode("cp1252") * 300,
    "gbk.txt": "这份合同由双方于今年签订，自签字之日起生效，有效期为三年。".encode("gb18030") * 300,
    "rows.jsonl": b'{"id": "r1", "price": 1e15, "tags": [1, 2, 3]}\n' * 1,
}


def expected(home: Home, template: str, model: str = "claude-opus-4-6") -> Decimal:
    text = _HEAD.format(model=model) + template
    home.recipe = replace(parse_recipe(text, name="r.md", catalog=catalog()), group_by="folder")
    for name, content in _TEXTS.items():
        home.write(name, content)
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    at_most = found.at_most(home.recipe, home.deps.catalog)
    assert at_most is not None
    assert found.load.documents == len(home.documents())
    return at_most


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-sonnet-4-5"])
@pytest.mark.parametrize(
    "template",
    [
        "{{ document.text }}",
        "{{ document.text }} {{ document.text }} {{ document.path }}" * 5,
        "{% if document.name %}{{ document.text }}{% else %}{{ document.name }}{% endif %}",
        "{% for line in [1, 2, 3, 4] %}{{ document.text }}{% endfor %}",
        "{{ document.text | upper }}{{ document }}",
    ],
)
def test_no_job_costs_more_than_was_said_before(home: Home, template: str, model: str) -> None:
    at_most = expected(home, template, model)
    run(home)
    batches = home.batches()
    assert sum(batch.requests for batch in batches) >= len(_TEXTS)
    spent = sum((batch.totals.cost for batch in batches if batch.totals), Decimal(0))
    assert 0 < spent <= at_most
    paid = [batch for batch in batches if batch.totals and not batch.totals.retried]
    assert sum((batch.cost_at_most for batch in paid), Decimal(0)) <= at_most


def test_what_has_no_price_has_no_bound(home: Home) -> None:
    home.recipe = parse_recipe(
        "---\nmodel: my-model\n---\n{{ document.text }}", name="r.md", catalog=catalog()
    )
    home.write("a.md", "# A")
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    assert (found.load.documents, found.at_most(home.recipe, home.deps.catalog)) == (1, None)


def test_nothing_waiting_costs_nothing(home: Home) -> None:
    assert waiting(home.deps, JOB, home.recipe).at_most(home.recipe, home.deps.catalog) == 0


@pytest.mark.parametrize("given", [None, 2])
def test_answers_that_never_fit_cost_no_more_than_was_said_before(
    home: Home, given: int | None
) -> None:
    home.recipe = fields.recipe()
    home.deps = replace(home.deps, policy=replace(home.policy, max_attempts=given))
    home.simulator.faults.invalid_rate = 1.0
    fill(home, 3)
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    at_most = found.at_most(home.recipe, home.deps.catalog)
    assert at_most is not None
    tries = given or home.recipe.max_attempts
    assert found.estimate(home.recipe, home.deps.catalog).tries == tries > 1
    run(home)
    assert home.requested() == 3 * tries
    batches = [batch for batch in home.batches() if batch.totals]
    spent = sum((batch.totals.cost for batch in batches if batch.totals), Decimal(0))
    once = sum(batch.cost_at_most for batch in batches) / tries
    assert once * tries <= at_most < once * tries * 2
    assert 0 < spent <= at_most


def test_answers_that_never_fit_stay_below_max_cost(home: Home) -> None:
    home.recipe = fields.recipe()
    fill(home, 3)
    home.see()
    found = waiting(home.deps, JOB, home.recipe).at_most(home.recipe, home.deps.catalog)
    assert found is not None
    limit = found / 2  # all once, and not all as often as they may be tried
    home.recipe = replace(home.recipe, max_cost=limit)
    home.simulator.faults.invalid_rate = 1.0
    run(home)
    spent = sum((batch.totals.cost for batch in home.batches() if batch.totals), Decimal(0))
    assert home.requested() >= 3
    assert 0 < spent <= limit
