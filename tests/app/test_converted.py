"""Documents that aren't text, from the file to the request, its price, and the report's header."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import yaml

from shared.adapters.builtin import catalog
from shared.app.contents import read_contents
from shared.app.control import requeue_unpaid
from shared.app.load import waiting
from shared.app.requests import Made, Requests, costs_at_most
from shared.app.submit import submit
from shared.domain.ids import custom_id
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from shared.domain.system_prompt import ATTACHED_NOTE, UNTRUSTED_NOTE
from tests.adapters.converters import files
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, only, run


def made(home: Home, path: str) -> Made:
    """The request of one document that waits."""
    home.see()
    document = home.documents()[path]
    [(_, content)] = list(read_contents(home.deps, [document], home.recipe))
    name = custom_id(path, 0, home.deps.new_batch_id())
    found = Requests(home.deps, home.recipe).make(document, content, name)
    assert isinstance(found, Made), found
    return found


def params(found: Made) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(found.request)["params"]
    return decoded


def asking(home: Home, prompt: str, model: str = "claude-opus-4-6", **head: object) -> None:
    more = "".join(f"{key}: {value}\n" for key, value in head.items())
    text = f"---\nmodel: {model}\nmax_tokens: 1000\n{more}---\n{prompt}"
    home.recipe = parse_recipe(text, name="r.md", catalog=catalog())


def header(home: Home, path: str) -> dict[str, Any]:
    report = home.report(path)
    assert report is not None
    found: dict[str, Any] = yaml.safe_load(report.split("---\n")[1])
    return found


def noted(*lines: str) -> bytes:
    """A workbook that has something to lose."""

    def build(book: Any) -> None:
        for line in lines:
            book.active.append([line])
        book.create_sheet("rates")["A1"] = 1
        book["rates"].sheet_state = "hidden"

    return files.workbook(build)


def test_a_pdf_is_attached_once_before_the_prompt_however_often_it_is_printed(home: Home) -> None:
    asking(home, "Sum up.\n{{ document.text }}\nAgain:\n{{ document.text }}")
    home.write("contract.pdf", files.pdf("Clause 1"))
    asked = params(made(home, "contract.pdf"))
    [message] = asked["messages"]
    document, prompt = message["content"]
    assert (document["type"], document["title"]) == ("document", "contract.pdf")
    assert document["source"]["media_type"] == "application/pdf"
    said = 'The document "contract.pdf" (PDF, 1 page) is attached to this message.</data-'
    assert prompt["text"].count(said) == 2
    assert asked["system"] == f"{UNTRUSTED_NOTE} {ATTACHED_NOTE}"


def test_text_is_sent_as_it_ever_was(home: Home) -> None:
    home.write("a.md", "# A")
    asked = params(made(home, "a.md"))
    assert isinstance(asked["messages"][0]["content"], str)
    assert asked["system"] == UNTRUSTED_NOTE


def test_of_several_images_each_is_named_and_a_name_can_say_nothing_of_its_own(home: Home) -> None:
    image = files.image()
    mail = files.mail("Two", one_png=("image/png", image), two_png=("image/png", image))
    home.write("m.eml", mail.as_bytes())
    [message] = params(made(home, "m.eml"))["messages"]
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["text", "image", "text", "image", "text"]
    assert message["content"][0]["text"].startswith("Image 1: <data-")
    assert message["content"][0]["text"].endswith(">one.png</data-" + _code(message, 0) + ">")


def _code(message: dict[str, Any], place: int) -> str:
    text: str = message["content"][place]["text"]
    return text.partition("<data-")[2].partition(">")[0]


def test_a_small_pdf_of_many_pages_costs_by_its_pages(home: Home) -> None:
    home.write("thin.pdf", files.pdf(*["x"] * 90))
    found = made(home, "thin.pdf")
    assert len(found.request) < 100_000
    assert found.most_tokens > 90 * (4_784 + 3_000)
    assert found.likely_tokens > 90 * 1_600
    [(_, cost)] = list(costs_at_most(home.deps, home.recipe, home.documents().values()))
    assert cost > Decimal("1.75")  # 700,560 tokens at half of $5 a million


def test_nobody_pays_for_more_than_the_model_takes(home: Home) -> None:
    home.write("thick.pdf", files.pdf(*["x"] * 500))
    found = made(home, "thick.pdf")
    assert 1_000_000 < found.most_tokens < 1_010_000


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", lambda: files.pdf(*["Clause"] * 20)),
        ("a.png", lambda: files.image(size=(2_000, 1_500))),
        ("a.docx", lambda: files.word(lambda d: d.add_paragraph("word " * 20_000))),
        ("a.xlsx", lambda: noted(*["row"] * 2_000)),
        ("a.html", lambda: b"<html><p>" + "wörter ".encode() * 9_000),
        ("a.eml", lambda: files.mail("x", a_pdf=("application/pdf", files.pdf("x"))).as_bytes()),
        ("wrong.txt", lambda: noted("a table")),
    ],
)
def test_what_is_converted_costs_no_more_than_was_said_before(
    home: Home, name: str, data: Callable[[], bytes]
) -> None:
    home.write(name, data())
    home.see()
    found = waiting(home.deps, JOB, home.recipe)
    at_most = found.at_most(home.recipe, home.deps.catalog)
    assert at_most is not None
    run(home)
    assert only(home, REPORTED)
    [batch] = home.batches()
    assert batch.totals is not None
    assert 0 < batch.totals.cost <= batch.cost_at_most
    assert name == "wrong.txt" or batch.cost_at_most <= at_most


def test_the_estimate_knows_pages_by_what_they_likely_take(home: Home) -> None:
    home.write("a.pdf", files.pdf(*["x"] * 40))
    home.see()
    estimate = waiting(home.deps, JOB, home.recipe).estimate(home.recipe, home.deps.catalog)
    assert 40 * 1_600 < estimate.input_tokens < 50 * 1_600


def test_a_pdf_that_may_cost_too_much_is_held(home: Home) -> None:
    asking(home, "{{ document.text }}", max_cost="0.10")
    home.write("dear.pdf", files.pdf(*["x"] * 50))
    home.write("cheap.md", "# Cheap")
    home.see()
    run(home)
    assert home.statuses() == {"cheap.md": REPORTED, "dear.pdf": FAILED}


def test_what_was_lost_stands_in_the_header_also_after_another_try(home: Home) -> None:
    home.write("figures.xlsx", noted("value"))
    home.write("plain.md", "# Plain")
    home.simulator.faults.error_rate = 1.0
    home.see()
    asyncio.run(submit(home.deps))
    home.simulator.faults.error_rate = 0.0
    run(home)
    first = home.batches()[0].totals
    assert first is not None
    assert first.retried == 2
    assert header(home, "figures.xlsx")["losses"] == ["hidden sheets left out: rates"]
    assert "losses" not in header(home, "plain.md")


def test_a_new_version_that_loses_nothing_says_nothing(home: Home) -> None:
    home.write("figures.xlsx", noted("value"))
    home.see()
    run(home)
    home.write("figures.xlsx", files.workbook(lambda book: book.active.append(["whole"])))
    home.see()
    run(home)
    assert "losses" not in header(home, "figures.xlsx")
    assert home.documents()["figures.xlsx"].losses == ()


def test_what_a_document_lost_is_kept_with_it_in_the_state(home: Home) -> None:
    home.write("figures.xlsx", noted("value"))
    home.see()
    run(home)
    assert home.documents()["figures.xlsx"].losses == ("hidden sheets left out: rates",)


def test_each_bad_file_is_a_failure_in_its_row_and_the_rest_goes_on(home: Home) -> None:
    bad = {
        "locked.pdf": (files.locked_pdf("secret"), "encrypted"),
        "broken.docx": (b"PK\x03\x04 broken", "broken_document"),
        "sources.docx": (files.archive({"a.py": b"1"}), "unsupported_type"),
        "empty.pdf": (b"", "empty_document"),
        "noise.docx": (b"\x00\x01\x02" * 99, "unsupported_type"),
        "opened.pdf": (files.locked_pdf(""), None),
        "text.pdf": (b"Plain text under a wrong name", None),
        "good.docx": (files.word(lambda d: d.add_paragraph("Good")), None),
    }
    for name, (data, _) in bad.items():
        home.write(name, data)
    home.see()
    run(home)
    failures = {path: d.failure and d.failure.type for path, d in home.documents().items()}
    assert failures == {name: type_ for name, (_, type_) in bad.items()}
    assert all(home.report(name) for name, (_, type_) in bad.items() if type_ is None)


def test_500_megabytes_are_refused_unread(home: Home) -> None:
    for name in ("huge.pdf", "huge.docx", "huge.txt"):
        with (home.root / "input" / name).open("wb") as file:
            file.truncate(500_000_000)
    home.see()
    run(home)
    failures = [document.failure for document in home.documents().values()]
    assert [failure and failure.type for failure in failures] == ["document_too_large"] * 3
    assert all(failure and "500,000,000 bytes" in failure.message for failure in failures)


def test_a_smaller_context_takes_fewer_pages_and_another_model_mends_that(home: Home) -> None:
    asking(home, "{{ document.text }}", model="claude-sonnet-4-5", split="never")
    home.write("long.pdf", files.pdf(*["x"] * 101))
    home.see()
    run(home)
    failure = home.documents()["long.pdf"].failure
    assert failure is not None
    assert failure.type == "too_many_pages"
    assert "101 pages" in failure.message
    assert "takes 100" in failure.message
    asking(home, "{{ document.text }}")
    assert requeue_unpaid(home.deps, JOB) == 1
    run(home)
    assert only(home, REPORTED)


def test_a_request_with_attachments_has_a_limit_of_its_own(home: Home) -> None:
    asking(home, "{{ document.text }}", split="never")
    home.deps = replace(home.deps, policy=Policy(max_request_bytes=20_000))
    home.write("photo.png", files.image(size=(1_000, 1_000)))
    home.write("scan.pdf", files.pdf(*["words " * 40] * 60))
    home.write("text.md", "x" * 40_000)
    home.see()
    run(home)
    failure = home.documents()["scan.pdf"].failure
    assert failure is not None
    assert failure.type == "request_too_large"
    assert "more than a request with attachments may have (20,000)" in failure.message
    assert home.statuses()["photo.png"] is REPORTED
    assert home.statuses()["text.md"] is REPORTED


def test_converting_is_cut_into_batches_by_time_and_nothing_is_left(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(planning=timedelta(0)))
    for number in range(3):
        home.write(f"d{number}.html", f"<html><p>Page {number}</p></html>")
    home.write("locked.pdf", files.locked_pdf("secret"))
    for number in range(3):
        home.write(f"z{number}.md", f"text {number}")
    home.see()
    run(home)
    assert sorted(batch.requests for batch in home.batches()) == [1, 1, 1, 3]
    assert home.statuses().pop("locked.pdf") is FAILED
    assert list(home.statuses().values()).count(REPORTED) == 6
