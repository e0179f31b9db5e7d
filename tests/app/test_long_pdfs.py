"""PDFs that are too long for one request, from the file to the one report."""

import asyncio
import base64
import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pypdf
import pypdfium2
import pytest
import yaml

from shared.app.control import requeue
from shared.app.load import waiting
from shared.app.poll import poll
from shared.app.publish import summary_of
from shared.app.submit import submit
from shared.domain.attachment import Attachment
from shared.domain.document import Document, DocumentStatus
from shared.domain.kinds import Kind
from shared.domain.page_ranges import Paged, Room
from shared.domain.policy import Policy
from shared.domain.spend import HELD
from shared.ports.converter import Converted, Converter
from tests.adapters.converters import files
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, WAITING, run
from tests.app.long import parts, shrink, small

IN_PARTS = DocumentStatus.IN_PARTS
CONTEXT = 40_000
"""Room for four pages at most, and for twenty as they are likely."""


def pages(count: int = 30, text: str = "") -> bytes:
    """A PDF whose pages say which they are."""
    return files.pdf(*(f"Sheet {number} {text}" for number in range(1, count + 1)))


def header(home: Home, path: str = "a.pdf") -> dict[str, Any]:
    report = home.report(path)
    assert report is not None
    found: dict[str, Any] = yaml.safe_load(report.split("---\n")[1])
    return found


def failure(home: Home, path: str = "a.pdf") -> tuple[str, str]:
    found = home.documents()[path].failure
    assert found is not None
    return found.type, found.message


@pytest.fixture
def sent(home: Home) -> list[list[dict[str, Any]]]:
    """The requests of each batch, as they were sent."""
    batches: list[list[dict[str, Any]]] = []
    real = home.deps.api.create

    async def create(content: Any, *, betas: Any) -> Any:
        batches.append(json.loads(b"".join(content.chunks()))["requests"])
        return await real(content, betas=betas)

    home.deps.api.create = create  # type: ignore[method-assign,assignment]
    return batches


def told(request: dict[str, Any]) -> tuple[list[str], str]:
    """The text on each page that is attached to a request, and its prompt."""
    document, prompt = request["params"]["messages"][0]["content"]
    with closing(pypdfium2.PdfDocument(base64.b64decode(document["source"]["data"]))) as found:
        texts = [page.get_textpage().get_text_bounded().strip() for page in found]
    return texts, prompt["text"]


class Counting:
    """Counts what a converter is asked."""

    def __init__(self, inner: Converter) -> None:
        self.inner = inner
        self.asked: Counter[str] = Counter()

    def convert(self, name: str, data: bytes, kind: Kind, *, most_pages: int) -> Converted:
        self.asked["convert"] += 1
        return self.inner.convert(name, data, kind, most_pages=most_pages)

    def page_ranges(self, name: str, data: bytes, room: Room) -> Paged:
        self.asked["page_ranges"] += 1
        return self.inner.page_ranges(name, data, room)

    def cut_pdf(self, name: str, data: bytes, *, start: int, end: int) -> Attachment:
        self.asked["cut_pdf"] += 1
        return self.inner.cut_pdf(name, data, start=start, end=end)


def test_a_pdf_of_more_pages_than_a_request_takes_is_asked_about_in_parts(
    home: Home, sent: list[list[dict[str, Any]]]
) -> None:
    home.write("a.pdf", pages(650))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    asked, [merge] = sent
    assert header(home)["parts"] == len(asked) == 6
    shown: list[str] = []
    for number, request in enumerate(asked, 1):
        texts, prompt = told(request)
        first, last = len(shown) + 1, len(shown) + len(texts)
        assert f"This is part {number} of 6" in prompt
        assert f'Pages {first} to {last} of the document "a.pdf" (PDF, 650 pages)' in prompt
        title = request["params"]["messages"][0]["content"][0]["title"]
        assert title == f"a.pdf, pages {first} to {last} of 650"
        shown += texts
    assert shown == [f"Sheet {number}" for number in range(1, 651)], "each page once, in order"
    content = merge["params"]["messages"][0]["content"]
    assert isinstance(content, str)
    assert "[Part 6 of 6]" in content
    assert parts(home, "a.pdf") == []
    totals = summary_of(home.deps, JOB).totals
    assert header(home)["input_tokens"] == totals.usage.input_tokens > 650 * 1_600
    assert (totals.reported, totals.parts) == (1, 6)


@pytest.mark.parametrize("count", [101, 30], ids=["its pages", "its likely tokens"])
def test_parts_are_so_small_that_they_surely_fit(
    home: Home, sent: list[list[dict[str, Any]]], count: int
) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(count))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    sizes = [len(told(request)[0]) for request in sent[0]]
    assert sum(sizes) == count
    assert max(sizes) <= (CONTEXT - 500) // (4_784 + 3_000)
    assert max(sizes) - min(sizes[:-1]) <= 1
    assert all(batch.one_at_most < batch.cost_at_most for batch in home.batches()[:1])


def test_what_has_too_many_bytes_for_a_request_is_cut_by_them(
    home: Home, sent: list[list[dict[str, Any]]]
) -> None:
    home.deps = replace(home.deps, policy=Policy(max_request_bytes=40_000))
    home.write("a.pdf", pages(60, text="words " * 60))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    shown = [text.split()[1] for request in sent[0] for text in told(request)[0]]
    assert shown == [str(number) for number in range(1, 61)]
    assert len(sent[0]) > 1
    for request in sent[0]:
        assert len(json.dumps(request, separators=(",", ":"))) <= 40_000


def test_a_page_that_does_not_fit_by_itself_fails_and_says_which(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_request_bytes=8_000))
    home.write("a.pdf", files.pdf("x", "y", random.Random(1).randbytes(9_000).hex()))
    home.see()
    run(home)
    type_, message = failure(home)
    assert type_ == "request_too_large"
    assert "its page 3 by itself" in message
    assert home.requested() == 0


def test_never_keeps_it_whole_and_costs_nothing(home: Home) -> None:
    shrink(home, context=CONTEXT, more="split: never\n")
    home.write("a.pdf", pages(101))
    home.see()
    run(home)
    assert failure(home) == (
        "too_many_pages",
        "it has 101 pages, and a request to this model takes 100; split it",
    )
    assert home.requested() == 0


def test_one_that_fits_is_sent_whole(home: Home, sent: list[list[dict[str, Any]]]) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(20))
    home.see()
    run(home)
    [[request]] = sent
    assert len(told(request)[0]) == 20
    assert "parts" not in header(home)


def test_what_the_provider_finds_too_long_is_split_then(home: Home) -> None:
    # Docmill's own estimate lets it pass, the simulator's doesn't.
    shrink(home, context=400_000, model="claude-haiku-4-5")
    home.write("a.pdf", pages(90, text="word " * 1_000))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    assert home.requested() == 1 + header(home)["parts"] + 1
    [first, *_] = home.batches()
    assert first.totals is not None
    assert (first.totals.failed, first.totals.retried) == (0, 1)


def test_a_single_page_that_is_too_long_is_not_asked_about_for_ever(home: Home) -> None:
    shrink(home, context=12_000)
    home.write("a.pdf", files.pdf("word " * 6_000))
    home.see()
    run(home)
    type_, message = failure(home)
    assert type_ == "document_too_large"
    assert "it has one page" in message


def test_a_part_that_fails_names_its_pages_and_retry_pays_for_it_alone(home: Home) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(30))
    home.see()
    faults = home.simulator.faults
    faults.error_rate, faults.error_type = 1.0, "invalid_request_error"
    faults.containing = "-0-0002-"
    run(home)
    type_, message = failure(home)
    count = home.requested()
    assert type_ == "invalid_request_error"
    assert message.startswith(f"part 3 of {count} (pages 9-12): ")
    faults.error_rate = 0.0
    assert requeue(home.deps, JOB, final=True) == 1
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    assert home.requested() == count + 2, "the part that failed, and the merge"


def test_what_was_cut_once_stays_cut_so_whatever_the_limits_are_by_now(
    home: Home, sent: list[list[dict[str, Any]]]
) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(30))
    home.see()
    faults = home.simulator.faults
    faults.error_rate, faults.error_type = 1.0, "invalid_request_error"
    faults.containing = "-0-0002-"
    run(home)
    count = len(sent[0])
    faults.error_rate = 0.0
    counting = Counting(home.deps.converter)
    home.deps = replace(home.deps, converter=counting, catalog=small(CONTEXT * 7 // 10))
    requeue(home.deps, JOB, final=True)
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    [_, [again], [_]] = sent
    assert told(again)[0] == [f"Sheet {number}" for number in range(9, 13)]
    assert header(home)["parts"] == count
    assert counting.asked == {"convert": 2, "cut_pdf": 1}, "it isn't looked through again"


def test_a_lost_list_of_parts_is_spooled_again_with_the_same_pages(
    home: Home, sent: list[list[dict[str, Any]]]
) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(30))
    home.see()
    home.lose_answer()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    shown = [text for request in sent[0] for text in told(request)[0]]
    assert shown == [f"Sheet {number}" for number in range(1, 31)]
    assert home.requested() == header(home)["parts"] + 1


def test_what_is_said_before_is_what_is_sent_and_no_less_than_it_costs(home: Home) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(30))
    home.write("b.pdf", pages(3))
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    at_most = found.at_most(home.recipe, home.deps.catalog)
    assert at_most is not None
    likely = found.estimate(home.recipe, home.deps.catalog).input_tokens
    assert home.statuses() == {"a.pdf": WAITING, "b.pdf": WAITING}, "nothing is split by asking"
    run(home)
    totals = summary_of(home.deps, JOB).totals
    assert found.requests.total() == home.requested()
    assert 0 < totals.cost <= sum(batch.cost_at_most for batch in home.batches()) <= at_most
    assert likely == pytest.approx(totals.usage.input_tokens, rel=0.25)


def test_parts_that_wait_again_are_said_to_cost_what_they_do(home: Home) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(30))
    home.see()
    faults = home.simulator.faults
    faults.error_rate, faults.error_type = 1.0, "api_error"
    asyncio.run(submit(home.deps))
    home.later(minutes=2)
    asyncio.run(poll(home.deps))
    asyncio.run(home.collect_all())
    faults.error_rate = 0.0
    assert home.statuses() == {"a.pdf": IN_PARTS}
    found = waiting(home.deps, JOB, home.recipe)
    assert found.requests.total() == len(parts(home, "a.pdf")) + 1
    at_most = found.at_most(home.recipe, home.deps.catalog)
    assert at_most is not None
    before = summary_of(home.deps, JOB).totals.cost
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    assert 0 < summary_of(home.deps, JOB).totals.cost - before <= at_most


def test_one_that_may_cost_too_much_in_all_is_held_before_any_part_is_sent(home: Home) -> None:
    shrink(home, context=CONTEXT, more="max_cost: 0.30\n")
    home.write("a.pdf", pages(30))
    home.write("b.pdf", pages(1))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": FAILED, "b.pdf": REPORTED}
    assert failure(home)[0] == HELD
    assert home.requested() == 1
    shrink(home, context=CONTEXT, more="max_cost: 9\n")
    requeue(home.deps, JOB)
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED, "b.pdf": REPORTED}


def test_it_is_looked_through_once_to_be_split_and_cut_once_for_each_part(home: Home) -> None:
    counting = Counting(home.deps.converter)
    home.deps = replace(home.deps, converter=counting)
    shrink(home, context=CONTEXT, more="max_cost: 9\n")
    home.write("a.pdf", pages(101))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    count = header(home)["parts"]
    assert counting.asked == {"page_ranges": 1, "cut_pdf": count, "convert": 2}


def test_cutting_takes_its_turns_as_converting_does(home: Home) -> None:
    shrink(home, context=CONTEXT)
    home.deps = replace(home.deps, policy=Policy(planning=timedelta(0)))
    home.write("a.pdf", pages(30))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    assert [batch.requests for batch in home.batches()] == [1] * (header(home)["parts"] + 1)


def test_what_is_lost_of_it_stands_in_the_header_of_the_merged_report(home: Home) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pages(101)))
    writer.add_attachment("figures.csv", b"1,2")
    out = io.BytesIO()
    writer.write(out)
    shrink(home, context=CONTEXT)
    home.write("a.pdf", out.getvalue())
    home.see()
    run(home)
    assert header(home)["losses"] == ["1 embedded file left out"]


def test_answers_about_pages_are_merged_in_levels(home: Home) -> None:
    home.simulator.settings = replace(home.simulator.settings, output_bytes=9_000)
    shrink(home, context=20_000, max_tokens=4_000)
    home.write("a.pdf", pages(60))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    assert home.requested() > header(home)["parts"] + 2
    assert max(Counter(_sent(home)).values()) == 1, "each part and each run once"


def _sent(home: Home) -> Iterator[str]:
    for batch in home.simulator.batches.values():
        for row in batch.rows:
            yield row.custom_id.rsplit("-", 2)[0]


def test_a_member_of_an_archive_is_split_too(home: Home, sent: list[list[dict[str, Any]]]) -> None:
    shrink(home, context=CONTEXT, more="archives: files\n")
    home.write("all.zip", files.archive({"deep/a.pdf": pages(30), "b.md": "# B"}))
    home.see()
    run(home)
    assert set(home.statuses().values()) == {REPORTED}
    assert header(home, "all.zip/deep/a.pdf")["parts"] > 3
    shown = [
        text
        for batch in sent
        for request in batch
        if isinstance(request["params"]["messages"][0]["content"], list)
        for text in told(request)[0]
    ]
    assert shown == [f"Sheet {number}" for number in range(1, 31)]


def test_another_version_while_in_parts_is_reported_instead(home: Home) -> None:
    shrink(home, context=CONTEXT)
    home.write("a.pdf", pages(30))
    home.see()
    asyncio.run(submit(home.deps))
    assert home.statuses() == {"a.pdf": IN_PARTS}
    old: list[Document] = parts(home, "a.pdf")
    home.write("a.pdf", pages(2))
    home.see()
    run(home)
    assert home.statuses() == {"a.pdf": REPORTED}
    assert "parts" not in header(home)
    assert home.requested() == len(old) + 1
    assert home.store.documents(JOB, [each.path for each in old]) == {}
