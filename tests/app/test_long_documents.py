import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Call
from shared.app.chosen import only
from shared.app.control import cancel, fail_waiting, requeue
from shared.app.counting import count_waiting
from shared.app.drive import drive
from shared.app.gone import forget_gone, forget_source
from shared.app.load import waiting
from shared.app.observed import observe
from shared.app.publish import publish, summary_of
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.spend import HELD, committed
from shared.domain.summary import render_summary
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, IN_BATCH, REPORTED, WAITING, run
from tests.app.long import parts, shrink, text

IN_PARTS = DocumentStatus.IN_PARTS


def header(home: Home, path: str = "a.md") -> dict[str, str]:
    report = home.report(path)
    assert report is not None
    lines = report.split("---\n")[1].splitlines()
    return dict(line.split(": ", 1) for line in lines)


def sent(home: Home) -> list[str]:
    """Which request was sent how often, in short: the part's number, or `whole`."""
    return [
        row.custom_id.rsplit("-", 2)[0]
        for batch in home.simulator.batches.values()
        for row in batch.rows
    ]


def kept(home: Home) -> list[str]:
    folder = home.root / "output" / ".docmill" / "parts"
    return sorted(str(each) for each in folder.rglob("*.md"))


def start(home: Home) -> None:
    """Split what is long and send the parts."""
    asyncio.run(submit(home.deps))


def fail_some(home: Home, containing: str, type_: str = "invalid_request_error") -> None:
    faults = home.simulator.faults
    faults.error_rate, faults.error_type, faults.containing = 1.0, type_, containing


def test_a_document_beyond_the_context_is_split_asked_about_and_merged(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.write("b.md", "# Short")
    home.see()
    run(home)
    assert home.statuses() == {"a.md": REPORTED, "b.md": REPORTED}
    count = int(header(home)["parts"])
    assert count > 3
    assert home.requested() == count + 2
    assert "parts" not in header(home, "b.md")
    assert len(home.batches()) == 3, "the short one, the parts, the merge"


def test_the_header_tells_tokens_and_cost_of_all_parts_and_nothing_counts_twice(
    home: Home,
) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    run(home)
    told = header(home)
    totals = summary_of(home.deps, JOB).totals
    assert int(told["input_tokens"]) == totals.usage.input_tokens
    assert int(told["output_tokens"]) == totals.usage.output_tokens
    assert float(told["cost_usd"]) == pytest.approx(float(totals.cost), abs=1e-12)
    assert (totals.reported, totals.parts) == (1, int(told["parts"]))
    first, second = home.batches()
    assert first.totals is not None
    assert second.totals is not None
    assert (first.totals.reported, first.totals.parts) == (0, totals.parts)
    assert (second.totals.reported, second.totals.parts) == (1, 0)


def test_users_count_documents_at_every_moment(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    start(home)
    assert home.statuses() == {"a.md": IN_PARTS}
    assert {each.status for each in parts(home, "a.md")} == {IN_BATCH}
    summary = publish(home.deps, JOB)
    assert (summary.total, summary.documents[IN_BATCH]) == (1, 1)
    told = json.loads(render_summary(summary))["documents"]
    assert told == {"total": 1, "waiting": 0, "in_batch": 1, "reported": 0, "failed": 0}
    assert home.store.count(JOB) == {"": {IN_PARTS: 1}}


def test_each_part_is_told_which_it_is_and_the_merge_gets_the_answers(home: Home) -> None:
    shrink(home)
    body = text()
    home.write("a.md", body)
    home.see()
    spooled: list[bytes] = []
    real = home.deps.api.create

    async def create(content: object, *, betas: object) -> object:
        spooled.append(b"".join(content.chunks()))  # type: ignore[attr-defined]
        return await real(content, betas=betas)  # type: ignore[arg-type]

    home.deps.api.create = create  # type: ignore[method-assign,assignment]
    run(home)
    first, second = (json.loads(each)["requests"] for each in spooled)
    prompts = [each["params"]["messages"][0]["content"] for each in first]
    for number, prompt in enumerate(prompts, 1):
        assert f"part {number} of {len(prompts)}" in prompt
        assert prompt.startswith("Review <data-")
        assert "## Risks" in prompt
    for line in body.splitlines():
        assert sum(f"\n{line}\n" in prompt for prompt in prompts) >= 1, line
    [merge] = [each["params"]["messages"][0]["content"] for each in second]
    assert f"[Part {len(prompts)} of {len(prompts)}]" in merge
    assert merge.count("A model's answer would stand here.") >= len(prompts)
    assert "clause 1.1 " not in merge
    assert merge.index("[Part 1 of") < merge.index("</data-", merge.index("[Part 1 of"))


def test_nothing_is_left_of_the_parts_once_the_report_is_there(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    run(home)
    assert parts(home, "a.md") == []
    assert kept(home) == []
    home.see()
    run(home)
    assert home.requested() == int(header(home)["parts"]) + 1, "it isn't paid for again"


def test_answers_that_are_too_long_together_are_merged_in_levels(home: Home) -> None:
    settings = SimulatorSettings(duration_s=60, output_bytes=1_400)
    home.simulator.settings = settings
    shrink(home)
    home.write("a.md", text(60_000))
    home.see()
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    count = int(header(home)["parts"])
    assert home.requested() > count + 2
    assert len(home.batches()) >= 3
    assert max(Counter(sent(home)).values()) == 1, "each part and each run once"
    assert kept(home) == []


def test_answers_that_can_never_be_merged_fail_and_say_what_to_do(home: Home) -> None:
    home.simulator.settings = SimulatorSettings(duration_s=60, output_bytes=4_000)
    shrink(home, max_tokens=1_400)
    home.write("a.md", text())
    home.see()
    run(home)
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert failure.type == "document_too_large"
    assert "lower max_tokens" in failure.message


def test_a_part_that_fails_for_good_fails_its_document_and_retry_pays_for_it_alone(
    home: Home,
) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    fail_some(home, "-0-0002-")
    run(home)
    assert home.statuses() == {"a.md": FAILED}
    failure = home.documents()["a.md"].failure
    assert failure is not None
    count = home.requested()
    assert failure.message.startswith(f"part 3 of {count}: ")
    publish(home.deps, JOB)
    lines = (home.root / "output/failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["a.md"]
    assert len(kept(home)) == count - 1
    home.simulator.faults.error_rate = 0
    assert requeue(home.deps, JOB, final=True) == 1
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == count + 2, "the part that failed, and the merge"
    assert parts(home, "a.md") == []


def test_a_part_is_tried_again_by_itself(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    fail_some(home, "-0-0002-", "api_error")
    start(home)
    home.simulator.faults.error_rate = 0
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == int(header(home)["parts"]) + 2


def test_a_merge_that_fails_is_tried_again_without_its_parts(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    fail_some(home, "a-md-0")
    run(home)
    assert home.statuses() == {"a.md": FAILED}
    before = home.requested()
    home.simulator.faults.error_rate = 0
    requeue(home.deps, JOB, final=True)
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == before + 1


def test_a_change_while_in_parts_drops_the_old_ones_and_reports_the_new(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    start(home)
    old = parts(home, "a.md")
    home.write("a.md", text(word="article"))
    assert home.see().changed == 1
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == len(old) + int(header(home)["parts"]) + 1
    assert home.store.documents(JOB, [each.path for each in old]) == {}
    assert kept(home) == []


def test_a_change_to_a_short_text_needs_one_request(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    start(home)
    old = parts(home, "a.md")
    home.write("a.md", "# Short now")
    home.see()
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert "parts" not in header(home)
    assert home.requested() == len(old) + 1
    assert home.store.documents(JOB, [each.path for each in old]) == {}
    assert kept(home) == []


def test_what_leaves_the_input_while_in_parts_is_forgotten_with_them(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    start(home)
    held = [each.path for each in parts(home, "a.md")]
    (home.root / "input/a.md").unlink()
    forget_source(home.deps, JOB, "a.md", ["a.md"])
    assert home.documents() == {}
    run(home)
    assert home.documents() == {}
    assert home.store.documents(JOB, held) == {}
    assert kept(home) == []
    assert all(batch.status is BatchStatus.COLLECTED for batch in home.batches())


def test_parts_that_wait_are_not_sent_once_their_document_is_gone(home: Home) -> None:
    shrink(home)
    home.policy = replace(home.policy, max_batch_requests=2)
    home.deps = replace(home.deps, policy=home.policy)
    home.write("a.md", text())
    home.see()
    fail_some(home, "-0-0000-")
    start(home)
    (home.root / "input/a.md").unlink()
    run(home)
    forget_gone(home.deps, JOB)
    assert home.documents() == {}
    assert list(home.store.groups()) == []
    assert kept(home) == []


def test_cancel_ends_the_document_and_retry_takes_up_what_was_answered(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    start(home)
    asyncio.run(cancel(home.deps, JOB))
    run(home)
    assert home.statuses() == {"a.md": FAILED}
    requeue(home.deps, JOB)
    run(home)
    assert home.statuses() == {"a.md": REPORTED}


def test_what_waits_in_parts_is_canceled_by_its_document(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    home.lose_answer()
    asyncio.run(_split_only(home))
    assert home.statuses() == {"a.md": IN_PARTS}
    fail_waiting(home.deps, JOB)
    assert home.statuses() == {"a.md": FAILED}
    run(home)
    assert home.requested() == 0
    assert list(home.store.groups()) == []


async def _split_only(home: Home) -> None:
    """Submit while the provider takes nothing."""
    home.simulator.faults.script.clear()
    home.fault(Call.CREATE, status=529, times=None)
    await submit(home.deps)
    for batch in home.batches(BatchStatus.PLANNED):
        from shared.app.submit import abandon  # noqa: PLC0415 - here alone

        abandon(home.deps, batch, "test")
    home.simulator.faults.script.clear()


def test_never_keeps_a_document_whole_and_costs_nothing(home: Home) -> None:
    shrink(home, more="split: never\n")
    home.write("a.md", text())
    home.see()
    run(home)
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert failure.type == "document_too_large"
    assert home.requested() == 0


def test_what_the_provider_finds_too_long_is_split_then(home: Home) -> None:
    # Docmill's own estimate lets it pass, the simulator's doesn't.
    shrink(home, context=400_000, model="claude-haiku-4-5")
    home.write("a.md", "word " * 180_000)
    home.see()
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == 1 + int(header(home)["parts"]) + 1
    [first, *_] = home.batches()
    assert first.totals is not None
    assert (first.totals.failed, first.totals.retried) == (0, 1)


def test_a_row_of_a_manifest_is_split_too(home: Home) -> None:
    shrink(home)
    rows = [{"id": "r1", "text": text()}, {"id": "r2", "text": "short"}]
    home.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    home.see()
    run(home)
    assert home.statuses() == {"r1": REPORTED, "r2": REPORTED}
    assert int(header(home, "r1")["parts"]) > 3


def test_an_answer_that_somebody_removed_is_asked_for_again(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    fail_some(home, "a-md-0")
    run(home)
    before = home.requested()
    [first, *_] = (home.root / "output/.docmill/parts").rglob("*.md")
    first.unlink()
    home.simulator.faults.error_rate = 0
    requeue(home.deps, JOB, final=True)
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == before + 2


def test_a_document_of_more_parts_than_are_made_fails(home: Home) -> None:
    shrink(home, context=2_400)
    home.write("a.md", text(400_000))
    home.see()
    run(home)
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert "at most 200 are made" in failure.message


def test_a_prompt_that_leaves_no_room_says_so(home: Home) -> None:
    shrink(home, context=1_700)
    home.write("a.md", text())
    home.see()
    run(home)
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert "lower max_tokens" in failure.message
    assert home.requested() == 0


def test_what_is_said_before_counts_parts_and_merge_and_is_kept(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.write("b.md", "# Short")
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    guess = found.estimate(home.recipe, home.deps.catalog)
    assert home.statuses() == {"a.md": WAITING, "b.md": WAITING}, "nothing is changed by that"
    run(home)
    assert found.load.documents == 2
    assert guess.requests == home.requested()
    assert guess.at_most is not None
    assert committed(home.batches()) <= guess.at_most
    assert sum(batch.cost_at_most for batch in home.batches()) <= guess.at_most


def test_a_document_whose_parts_and_merge_cost_too_much_is_held_whole(home: Home) -> None:
    shrink(home, more="max_cost: 0.1\n")
    home.write("a.md", text())
    home.write("b.md", "# Short")
    home.see()
    run(home)
    assert home.statuses() == {"a.md": FAILED, "b.md": REPORTED}
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert failure.type == HELD
    assert home.requested() == 1
    shrink(home, more="max_cost: 5\n")
    requeue(home.deps, JOB)
    run(home)
    assert home.statuses() == {"a.md": REPORTED, "b.md": REPORTED}


def test_another_recipe_asks_about_all_parts_anew(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.see()
    fail_some(home, "-0-0002-")
    run(home)
    before, old = home.requested(), kept(home)
    home.simulator.faults.error_rate = 0
    shrink(home, max_tokens=400)
    requeue(home.deps, JOB, final=True)
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == before + int(header(home)["parts"]) + 1
    assert old
    assert kept(home) == []


def test_a_sample_sends_the_parts_of_its_documents_and_says_what_all_of_them_cost(
    home: Home,
) -> None:
    shrink(home)
    home.write("a.md", text())
    home.write("b.md", text(word="article"))
    home.see()
    asyncio.run(drive(replace(home.deps, store=only(home.store, JOB, ["a.md"])), sleep=home.sleep))
    assert home.statuses() == {"a.md": REPORTED, "b.md": WAITING}
    found = asyncio.run(observe(home.deps, JOB, home.recipe, ["a.md"]))
    assert found["a.md"].cost == summary_of(home.deps, JOB).totals.cost
    run(home)
    assert home.statuses() == {"a.md": REPORTED, "b.md": REPORTED}


def test_counting_tokens_splits_nothing(home: Home) -> None:
    shrink(home)
    home.write("a.md", text())
    home.write("b.md", "# Short")
    home.see()

    class Counter:
        async def count_tokens(self, params: Mapping[str, Any]) -> int:
            return 50 if "Short" in str(params) else 1_000_000

    found = waiting(home.deps, JOB, home.recipe)
    counted = asyncio.run(
        count_waiting(home.deps, Counter(), JOB, home.recipe, found=found, also=lambda: ())
    )
    assert counted is not None
    assert counted.counted == 1
    assert counted.of == found.requests.total() > 4
    assert home.statuses() == {"a.md": WAITING, "b.md": WAITING}
    assert len(list(home.store.waiting(JOB, ""))) == 2


@pytest.mark.parametrize("output", ["json", "markdown", "html", "text"])
def test_fields_of_a_long_document_are_those_of_the_merge(home: Home, output: str) -> None:
    fields = "" if output == "text" else "fields: {score: integer}\n"
    shrink(home, more=f"output: {output}\n{fields}")
    home.write("a.md", text())
    home.see()
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    [report] = (home.root / "output").glob("a.md.*")
    told = report.read_text()
    assert "parts" in told
    if output == "json":
        found = json.loads(told)
        assert found["docmill"]["parts"] > 3
        assert isinstance(found["answer"]["score"], int)
    publish(home.deps, JOB)
    rows = home.root / "output/results.csv"
    if fields:
        assert len(rows.read_text().splitlines()) == 2, "one row, of the document"
