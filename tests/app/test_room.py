import asyncio
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.app.control import requeue_unpaid
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.recipe import parse_recipe
from shared.domain.spend import HELD, committed
from tests.app.home import JOB, RECIPE, Home

REPORTED, FAILED = DocumentStatus.REPORTED, DocumentStatus.FAILED


def allow(home: Home, dollars: str | None, max_tokens: int = 1000) -> None:
    home.recipe = replace(
        home.recipe,
        max_cost=None if dollars is None else Decimal(dollars),
        max_tokens=max_tokens,
    )


def fill(home: Home, count: int, folder: str = "") -> None:
    for number in range(count):
        home.write(f"{folder}d{number:02}.md", f"# Document {number}\n\n" + "word " * 100)
    home.see()


def run(home: Home) -> None:
    asyncio.run(home.finish())


def held(home: Home) -> list[str]:
    return [d.path for d in home.store.failed(JOB) if d.failure and d.failure.type == HELD]


def spent(home: Home) -> Decimal:
    return sum((batch.totals.cost for batch in home.batches() if batch.totals), Decimal(0))


def test_what_may_cost_too_much_is_held_by_name_and_never_submitted(home: Home) -> None:
    allow(home, "0.001")
    fill(home, 3)
    run(home)
    assert held(home) == ["d00.md", "d01.md", "d02.md"]
    assert home.requested() == 0
    [first, *_] = home.store.failed(JOB)
    assert first.failure is not None
    assert first.failure.attempts == 0
    assert "raise max_cost" in first.failure.message


def test_what_is_left_over_by_short_answers_serves_others(home: Home) -> None:
    allow(home, "0.06")  # a request may cost some 0.016, and costs far less
    fill(home, 9)
    run(home)
    assert held(home) == []
    assert set(home.statuses().values()) == {REPORTED}
    assert max(batch.requests for batch in home.batches()) == 3
    assert spent(home) < Decimal("0.06")


def test_raising_it_releases_what_is_held(home: Home) -> None:
    allow(home, "0.016")
    fill(home, 4)
    run(home)
    assert held(home)
    allow(home, "5")
    assert requeue_unpaid(home.deps, JOB) == len(held(home)) or not held(home)
    run(home)
    assert set(home.statuses().values()) == {REPORTED}
    assert home.requested() == 4


def test_several_groups_share_one_limit(home: Home) -> None:
    allow(home, "0.06")
    for folder in ("a/", "b/", "c/"):
        fill(home, 3, folder)
    asyncio.run(submit(home.deps))
    assert committed(home.batches()) <= Decimal("0.06")
    assert home.requested() == 3
    run(home)
    assert spent(home) <= Decimal("0.06")


def test_a_limit_that_was_lowered_holds_back_what_was_planned(home: Home) -> None:
    fill(home, 3)
    home.simulator.faults.tier_limit = True
    asyncio.run(submit(home.deps))
    assert [batch.status for batch in home.batches()] == [BatchStatus.PLANNED]
    home.simulator.faults.tier_limit = False
    allow(home, "0.001")
    run(home)
    assert home.requested() == 0
    assert len(held(home)) == 3


@pytest.mark.parametrize("seed", range(12))
def test_the_bound_holds_for_any_documents_and_answers(home: Home, seed: int) -> None:
    draw = random.Random(seed)
    home.simulator.faults.error_rate = draw.choice((0.0, 0.3))
    home.simulator.faults.truncate_rate = draw.choice((0.0, 0.5))
    home.simulator.settings = SimulatorSettings(output_bytes=draw.choice((0, 4_000, 40_000)))
    limit = Decimal(draw.choice(("0.02", "0.1", "1")))
    allow(home, str(limit), max_tokens=draw.choice((50, 1_000, 8_000)))
    for number in range(draw.randint(1, 12)):
        words = draw.choices(
            ["word", "größer", "設計", "{}", "\\", '"', "\n"], k=draw.randint(1, 900)
        )
        home.write(f"{draw.choice('abc')}/{number}.md", " ".join(words))
    home.see()
    run(home)
    for batch in home.batches():
        if batch.totals is not None:
            assert batch.totals.cost <= batch.cost_at_most
    assert spent(home) <= limit
    assert committed(home.batches()) <= limit
    assert {REPORTED, FAILED} >= set(home.statuses().values())


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("max_cost: much", "is no amount"),
        ("max_cost: -1", "is no amount"),
        ("max_cost: 0", "is no amount"),
        ("max_cost: yes", "is no amount"),
        ("max_cost: .nan", "max_cost: "),
        ("max_cost: 5\nparams: {tools: [{name: x}]}", "what tools cost"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(home: Home, head: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_recipe(
            RECIPE.replace("---\nR", f"{head}\n---\nR"), name="r.md", catalog=home.deps.catalog
        )


def test_a_model_without_a_price_takes_no_limit(home: Home) -> None:
    text = RECIPE.replace("claude-opus-4-6", "my-model").replace("---\nR", "max_cost: 5\n---\nR")
    with pytest.raises(ValueError, match="the price of my-model is not known"):
        parse_recipe(text, name="r.md", catalog=home.deps.catalog)
