import asyncio
import json
from dataclasses import replace

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.simulator.faults import Call
from shared.app.control import requeue
from shared.app.submit import submit
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, Home
from tests.app.jobs import FAILED, REPORTED, fill, only, run


def test_each_group_is_a_batch_of_its_own(home: Home) -> None:
    fill(home, 2, "a/")
    fill(home, 3, "b/")
    home.see()
    run(home)
    assert sorted((b.group, b.requests) for b in home.batches()) == [("a", 2), ("b", 3)]


def test_a_full_batch_is_cut_by_requests(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_batch_requests=2))
    fill(home, 5)
    home.see()
    run(home)
    assert sorted(b.requests for b in home.batches()) == [1, 2, 2]


def test_a_full_batch_is_cut_by_bytes(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_batch_bytes=3_000))
    for number in range(6):
        home.write(f"d{number}.md", f"{number}" + "x" * 1_000)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert len(home.batches()) > 1
    assert all(b.body_size <= 3_000 for b in home.batches())


@pytest.mark.parametrize(
    ("name", "content", "type_"),
    [
        ("empty.md", b"", "empty_document"),
        ("image.md", b"\x89PNG\r\n\x1a\n\x00\x00", "broken_document"),
        ("huge.md", b"word " * 13_000_000, "document_too_large"),
    ],
)
def test_what_cannot_be_read_fails_with_its_reason_and_the_others_go_on(
    home: Home, name: str, content: bytes, type_: str
) -> None:
    fill(home, 2)
    home.write(name, content)
    home.see()
    run(home)
    failure = home.documents()[name].failure
    assert failure is not None
    assert failure.type == type_
    assert home.statuses()["d0.md"] is REPORTED
    assert home.requested() == 2


def test_a_batch_is_cut_so_that_its_results_can_be_read_in_time(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(max_results_bytes=3 * 1000 * 4))
    fill(home, 7)
    home.see()
    run(home)
    assert sorted(batch.requests for batch in home.batches()) == [1, 3, 3]


def test_a_document_that_is_gone_before_it_is_read_fails_and_heals_when_it_is_back(
    home: Home,
) -> None:
    home.write("a.md", "one")
    home.see()
    (home.root / "input" / "a.md").unlink()
    run(home)
    failure = home.documents()["a.md"].failure
    assert failure is not None
    assert failure.type == "not_found"
    home.write("a.md", "one")
    home.see()
    run(home)
    assert only(home, REPORTED)


def test_rows_of_a_manifest_are_documents(home: Home) -> None:
    rows = [{"id": f"r{n}", "name": f"N{n}", "text": f"text {n}"} for n in range(4)]
    lines = [json.dumps(row) for row in rows]
    home.write("rows.jsonl", "\n".join([*lines, "{broken", json.dumps(rows[0] | {"text": "x"})]))
    home.see()
    run(home)
    documents = home.documents()
    assert home.report("r0") is not None
    assert documents["rows.jsonl:5"].status is FAILED
    duplicate = documents["rows.jsonl:6"].failure
    assert duplicate is not None
    assert duplicate.type == "duplicate_id"
    assert home.requested() == 4
    home.see()
    run(home)
    assert home.requested() == 4


def test_a_plan_that_was_put_off_is_sent_without_what_changed_meanwhile(home: Home) -> None:
    fill(home, 3)
    home.see()
    home.fault(Call.CREATE, status=529)
    asyncio.run(submit(home.deps))
    home.write("d0.md", "another text")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 3


def test_a_csv_without_a_column_that_the_prompt_uses_fails_before_anything_is_spent(
    home: Home,
) -> None:
    prompt = "---\nmodel: claude-opus-4-6\n---\n{{ readme }}\n"
    home.recipe = parse_recipe(prompt, name="recipe.md", catalog=catalog())
    home.write("manifest.csv", "id,name\n1,x\n")
    home.see()
    failure = home.documents()["manifest.csv"].failure
    assert failure is not None
    assert failure.type == "invalid_manifest"
    assert "no column readme" in failure.message
    run(home)
    assert home.requested() == 0


def test_a_row_without_a_value_that_the_prompt_uses_fails_alone(home: Home) -> None:
    prompt = "---\nmodel: claude-opus-4-6\n---\n{{ readme }}\n"
    home.recipe = parse_recipe(prompt, name="recipe.md", catalog=catalog())
    home.write("rows.jsonl", '{"id": "a", "readme": "x"}\n{"id": "b"}\n')
    home.see()
    run(home)
    failure = home.documents()["b"].failure
    assert failure is not None
    assert failure.type == "template_error"
    assert "readme" in failure.message
    assert home.requested() == 1


def test_only_the_version_that_was_seen_is_sent(home: Home) -> None:
    fill(home, 2)
    home.see()
    home.write("d0.md", "# Another version, put there in between\n")
    run(home)
    failure = home.documents()["d0.md"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("source_changed", True)
    assert home.requested() == 1
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


def test_retry_takes_what_lies_there_now(home: Home) -> None:
    fill(home, 1)
    home.see()
    home.write("d0.md", "# Another version, put there in between\n")
    run(home)
    assert requeue(home.deps, JOB) == 1
    run(home)
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 1


def test_content_that_comes_and_goes_around_the_reading_leaves_the_report_of_what_is_there(
    home: Home,
) -> None:
    home.write("a.md", "# A")
    home.see()
    home.write("a.md", "# B")
    asyncio.run(submit(home.deps))
    home.write("a.md", "# A")
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 1
