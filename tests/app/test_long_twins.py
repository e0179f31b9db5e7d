"""Long documents beside the other ways of paying less: their parts and merges are sent for each
document, and aren't gone on with."""

import asyncio
from dataclasses import replace

import pytest

from shared.app.poll import poll
from shared.app.publish import publish
from shared.app.requests import costs_at_most
from shared.app.submit import submit
from shared.domain.asked import OF_SMALL_BATCHES
from shared.domain.document import DocumentStatus
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home
from tests.app.jobs import IN_BATCH, REPORTED, WAITING, only, run
from tests.app.long import parts, small, text

IN_PARTS = DocumentStatus.IN_PARTS
NEARLY_TOO_LONG = "word " * 159_920
"""The model takes it, and not with an answer behind it."""


def use(home: Home, *lines: str, context: int = 4_000, model: str = "claude-opus-4-6") -> None:
    """A recipe whose prompt says nothing of the document's path, for a model with this context."""
    made = RECIPE.replace("max_wait: 10m", "\n".join(("max_wait: 10m", *lines)))
    made = made.replace("max_tokens: 1000", "max_tokens: 500").replace("claude-opus-4-6", model)
    home.recipe = parse_recipe(made, name="recipe.md", catalog=small(context))
    home.deps = replace(home.deps, catalog=small(context))


def let_pass(home: Home, *lines: str) -> None:
    """Docmill's own estimate lets pass what the simulator doesn't."""
    use(home, *lines, context=400_000, model="claude-haiku-4-5")


def head_of(home: Home, path: str) -> dict[str, str]:
    header = (home.report(path) or "").partition("\n---\n\n")[0]
    return dict(line.split(": ", 1) for line in header.splitlines()[1:])


def collect_one(home: Home) -> None:
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())


def test_parts_and_merges_of_the_same_text_are_sent_for_each_document(home: Home) -> None:
    use(home)
    for name in ("a.md", "b.md"):
        home.write(name, text())
    home.see()
    run(home)
    assert only(home, REPORTED)
    count = int(head_of(home, "a.md")["parts"])
    assert home.requested() == 2 * (count + 1)
    assert publish(home.deps, JOB).totals.twins == 0
    assert not list(home.store.asked(JOB, OF_SMALL_BATCHES)), "nobody is to count on them"
    assert "same_request_as" not in head_of(home, "b.md")
    assert head_of(home, "b.md")["cost_usd"] == head_of(home, "a.md")["cost_usd"]
    home.write("c.md", text())
    home.see()
    run(home)
    assert home.requested() == 3 * (count + 1)
    assert head_of(home, "c.md")["parts"] == str(count)


def test_short_documents_of_the_same_batch_are_twins_all_the_same(home: Home) -> None:
    use(home)
    home.write("a.md", text())
    for name in ("b.md", "c.md"):
        home.write(name, "# short")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == int(head_of(home, "a.md")["parts"]) + 1 + 1
    assert head_of(home, "c.md")["same_request_as"] == '"b.md"'


def test_what_is_too_long_for_one_is_so_for_its_twins_and_each_is_split(home: Home) -> None:
    let_pass(home)
    for name in ("a.md", "b.md", "c.md"):
        home.write(name, "word " * 180_000)
    home.see()
    asyncio.run(submit(home.deps))
    assert home.requested() == 1
    collect_one(home)
    assert only(home, WAITING)
    [first] = home.batches()
    assert first.totals is not None
    assert (first.totals.retried, first.totals.twins, first.totals.failed) == (3, 2, 0)
    assert first.totals.cost == 0
    run(home)
    assert only(home, REPORTED)
    for name in ("a.md", "b.md", "c.md"):
        assert "same_request_as" not in head_of(home, name)
    assert home.requested() == 1 + 3 * (int(head_of(home, "a.md")["parts"]) + 1)


def test_who_waits_for_an_answer_that_never_comes_is_split_as_well(home: Home) -> None:
    let_pass(home)
    home.write("a.md", "word " * 180_000)
    home.see()
    asyncio.run(submit(home.deps))
    home.write("b.md", "word " * 180_000)
    home.see()
    home.later(minutes=11)
    asyncio.run(submit(home.deps))
    assert home.statuses() == {"a.md": IN_BATCH, "b.md": WAITING}
    run(home)
    assert only(home, REPORTED)
    assert head_of(home, "a.md")["parts"] == head_of(home, "b.md")["parts"]


def test_answers_about_parts_and_merges_are_not_gone_on_with(home: Home) -> None:
    use(home, "continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    home.write("a.md", text())
    home.write("b.md", "# short")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert head_of(home, "a.md")["truncated"] == "true"
    assert "continued" not in head_of(home, "a.md")
    assert head_of(home, "b.md")["continued"] == "2"
    assert home.requested() == int(head_of(home, "a.md")["parts"]) + 1 + 3
    assert not parts(home, "a.md"), "nothing is left of them"
    folder = home.root / "output" / ".docmill"
    assert not list((folder / "parts").rglob("*.md"))
    assert len(list((folder / "unfinished").iterdir())) == 2, "of the short one"


def test_a_rest_that_the_provider_finds_too_long_leaves_the_report(home: Home) -> None:
    let_pass(home, "continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    home.write("a.md", NEARLY_TOO_LONG)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2
    head = head_of(home, "a.md")
    assert head["truncated"] == "true"
    assert "prompt is too long" in head["not_continued"]
    home.see()
    run(home)
    assert home.requested() == 2


def test_what_goes_on_may_cost_one_request_more_and_is_never_split(home: Home) -> None:
    let_pass(home, "continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    home.write("a.md", NEARLY_TOO_LONG)
    home.see()
    [(_, before)] = costs_at_most(home.deps, home.recipe, home.documents().values())
    asyncio.run(submit(home.deps))
    collect_one(home)
    document = home.documents()["a.md"]
    assert document.unfinished is not None
    [(_, after)] = costs_at_most(home.deps, home.recipe, [document])
    assert 0 < after < before, "the first may have been split"


def test_another_text_is_split_though_the_former_answer_was_to_go_on(home: Home) -> None:
    use(home, "continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    home.write("a.md", "# short")
    home.see()
    asyncio.run(submit(home.deps))
    collect_one(home)
    assert home.documents()["a.md"].unfinished is not None
    home.write("a.md", text())
    home.see()
    home.later(minutes=11)
    asyncio.run(submit(home.deps))
    assert home.statuses() == {"a.md": IN_PARTS}
    run(home)
    assert only(home, REPORTED)
    assert int(head_of(home, "a.md")["parts"]) > 3


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_too_long_counts_as_tried_again_when_it_is_read_again(
    home: Home, count: int
) -> None:
    let_pass(home)
    home.simulator.faults.wrong_counts = 1
    for number in range(count):
        home.write(f"d{number}.md", "word " * 180_000)
    home.see()
    run(home)
    assert only(home, REPORTED)
    totals = home.batches()[0].totals
    assert totals is not None
    assert (totals.retried, totals.twins, totals.failed) == (count, count - 1, 0)


def test_a_rest_that_was_too_long_counts_as_failed_when_it_is_read_again(home: Home) -> None:
    let_pass(home, "continue: 2")
    home.simulator.faults.truncate_rate = 1.0
    home.simulator.faults.wrong_counts = 1
    home.write("a.md", NEARLY_TOO_LONG)
    home.see()
    run(home)
    assert only(home, REPORTED)
    totals = home.batches()[-1].totals
    assert totals is not None
    assert (totals.retried, totals.failed) == (0, 1)
