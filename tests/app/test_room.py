import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator_api import SimulatorApi
from shared.app.control import requeue, requeue_unpaid
from shared.app.plan import Full, plan_batch
from shared.app.room import Room
from shared.app.spool import Spool
from shared.app.submit import submit
from shared.domain.batch import Batch, BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName, ProviderId
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
        home.write(f"{folder}d{number:02}.md", f"# Document {folder}{number}\n\n" + "word " * 100)
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


def test_what_waits_for_room_goes_on_as_soon_as_there_is_some(home: Home) -> None:
    allow(home, "0.023")  # for one request
    fill(home, 4)
    began = home.now
    home.deps = replace(home.deps, policy=replace(home.policy, poll_interval=timedelta(hours=1)))
    run(home)
    assert set(home.statuses().values()) == {REPORTED}
    assert home.now - began < timedelta(minutes=15)


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


def test_one_costly_document_holds_up_no_other_and_each_is_held_with_its_own_figure(
    home: Home,
) -> None:
    allow(home, "0.06")
    home.write("a-long.md", "word " * 9_000)
    home.write("b-longer.md", "word " * 12_000)
    fill(home, 3)
    run(home)
    assert held(home) == ["a-long.md", "b-longer.md"]
    assert home.requested() == 3
    messages = [d.failure.message for d in home.store.failed(JOB) if d.failure]
    assert [message.partition(",")[0] for message in messages] == [
        "held: it may cost $0.1287",
        "held: it may cost $0.1662",
    ]


def test_of_two_that_plan_at_the_same_time_one_notices(home: Home) -> None:
    allow(home, "0.02")  # for one request
    fill(home, 1, "a/")
    fill(home, 1, "b/")
    here, there = Room(home.deps), Room(home.deps)
    groups = list(home.store.groups())
    both = [room.left(JOB, home.recipe) for room in (here, there)]
    for left, group in zip(both, groups, strict=True):
        with Spool(home.root) as spool:
            planned = asyncio.run(plan_batch(home.deps, group, home.recipe, spool, left=left))
        assert not isinstance(planned, Full | None)
    first, second = home.batches()
    assert [here.takes(first, home.recipe), there.takes(second, home.recipe)] == [True, False]


def test_many_batches_are_added_up_once_a_round(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(home, "100")
    for number in range(30):
        fill(home, 1, f"{number}/")
    read: list[str] = []
    batches = home.store.batches

    def counted(job: JobName) -> Iterator[Batch]:
        read.append(job)
        return batches(job)

    monkeypatch.setattr(home.store, "batches", counted)
    asyncio.run(submit(home.deps))
    assert len(home.batches()) == 30
    assert len(read) == 2  # one of them is this test's


@pytest.mark.parametrize("lost", ["lost", "without usage"])
def test_a_result_that_nobody_can_price_counts_at_its_most(home: Home, lost: str) -> None:
    fill(home, 2)
    if lost == "lost":
        home.simulator.faults.lost_lines = 1
    else:
        home.deps = replace(home.deps, api=Uncounted(home.simulator, lambda: home.now))
    run(home)
    [batch] = home.batches()
    assert batch.totals is not None
    unknown = 1 if lost == "lost" else 2
    assert batch.totals.unpriced == unknown
    least = batch.totals.cost + unknown * Decimal("0.0125")  # answers of 1,000 tokens
    assert least < committed([batch]) <= batch.cost_at_most
    allow(home, str(committed([batch])))
    requeue(home.deps, JOB)
    run(home)
    assert home.requested() == 2


class Uncounted(SimulatorApi):
    """Answers don't say what they used."""

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        async for lines in super().results(provider_id):
            yield [line.replace(b'"usage"', b'"useage"') for line in lines]


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
