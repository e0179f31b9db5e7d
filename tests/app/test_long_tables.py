"""The row and the report of a document in parts say the same: what all its requests came to."""

import asyncio
import json
import re
from typing import Any

import pytest

from shared.app.collect import collect
from shared.app.poll import poll
from shared.app.publish import summary_of
from shared.app.report_places import put_in_place
from shared.app.submit import submit
from shared.domain.batch import BatchStatus
from tests.app.fields import tables
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, run
from tests.app.long import shrink, text

FIELDS = "output: json\nfields: {score: integer}\n"
TOLD = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens", "truncated")


def told(home: Home, path: str = "a.md") -> dict[str, Any]:
    found = json.loads((home.root / "output" / f"{path}.json").read_text())["docmill"]
    assert isinstance(found, dict)
    return found


def row(home: Home, path: str = "a.md") -> dict[str, Any]:
    [found] = [each for each in tables(home) if each["document"] == path]
    return found


def assert_all_say_the_same(home: Home) -> None:
    said, has, totals = told(home), row(home), summary_of(home.deps, JOB).totals
    assert said["parts"] > 3
    assert {name: has[name] for name in TOLD} == {name: said[name] for name in TOLD}
    assert has["cost_usd"] == pytest.approx(said["cost_usd"])
    assert has["cost_usd"] == pytest.approx(float(totals.cost))
    assert has["input_tokens"] == totals.usage.input_tokens
    assert has["output_tokens"] == totals.usage.output_tokens


def test_the_row_has_the_sums_that_the_header_has_and_the_batches_came_to(home: Home) -> None:
    shrink(home, more=FIELDS)
    home.write("a.md", text())
    home.see()
    run(home)
    assert_all_say_the_same(home)
    assert all(batch.totals for batch in home.batches())
    largest = max(batch.totals.cost for batch in home.batches() if batch.totals)
    assert row(home)["cost_usd"] > float(largest), "not one batch's alone"


def test_a_page_tells_the_sums_too(home: Home) -> None:
    shrink(home, more="output: html\nfields: {score: integer}\n")
    home.write("a.md", text())
    home.see()
    run(home)
    page = (home.root / "output/a.md.html").read_text()
    facts = dict(re.findall(r"<th>(\w+)</th><td>([^<]*)</td>", page))
    usage = summary_of(home.deps, JOB).totals.usage
    assert int(facts["input_tokens"]) == usage.input_tokens == row(home)["input_tokens"]


def test_the_sums_outlive_a_crash_before_the_merge_is_closed(home: Home) -> None:
    shrink(home, more=FIELDS)
    home.write("a.md", text())
    home.see()
    swap = home.store.swap_batch

    def dies(batch: Any, **how: Any) -> Any:
        merged = batch.totals is not None and batch.totals.reported
        if batch.status is BatchStatus.COLLECTED and merged:
            raise KeyboardInterrupt
        return swap(batch, **how)

    home.store.swap_batch = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(home)
    home.store.swap_batch = swap  # type: ignore[method-assign]
    assert home.statuses() == {"a.md": REPORTED}
    home.later(minutes=20)
    run(home)
    assert_all_say_the_same(home)


def test_a_report_that_is_kept_is_put_in_place_with_the_sums_in_its_row(home: Home) -> None:
    shrink(home, more=FIELDS)
    home.write("a.md", text())
    home.see()
    for _ in range(2):  # the parts, then their merge
        asyncio.run(submit(home.deps))
        home.later(minutes=2)
        asyncio.run(poll(home.deps))
        place = home.root / "output/a.md.json"
        if home.documents()["a.md"].batch is not None:
            place.mkdir(parents=True)
        for batch in home.batches(BatchStatus.ENDED):
            asyncio.run(collect(home.deps, batch.id))
    assert home.statuses() == {"a.md": FAILED}
    place.rmdir()
    assert put_in_place(home.deps, JOB) == (1, frozenset())
    assert_all_say_the_same(home)


def test_a_version_that_is_short_again_has_its_own_tokens_alone(home: Home) -> None:
    shrink(home, more=FIELDS)
    home.write("a.md", text())
    home.see()
    run(home)
    before = row(home)["input_tokens"]
    home.write("a.md", "# Short now")
    home.see()
    run(home)
    assert row(home)["input_tokens"] == told(home)["input_tokens"] < before / 10
