import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.app.control import requeue, requeue_unpaid
from shared.app.gone import forget_gone
from shared.app.intake import take_in
from shared.app.sightings import sightings_of
from shared.domain.document import DocumentStatus
from shared.domain.policy import Policy
from shared.domain.recipe import parse_recipe
from tests.app.home import JOB, RECIPE, Home

WAITING, REPORTED, FAILED = DocumentStatus.WAITING, DocumentStatus.REPORTED, DocumentStatus.FAILED


def run(home: Home) -> None:
    asyncio.run(home.finish())


def failure_types(home: Home) -> dict[str, str]:
    return {d.path: d.failure.type for d in home.store.failed(JOB) if d.failure}


def needs_text(home: Home) -> None:
    """Let the recipe ask for the column `text`, which a row may lack."""
    wanted = RECIPE.replace("{{ document.text }}", "{{ text }}")
    home.recipe = parse_recipe(wanted, name="recipe.md", catalog=home.deps.catalog)


def rows(*ids: str, text: str = "text") -> str:
    return "".join(f'{{"id": "{each}", "text": "{text} {each}"}}\n' for each in ids)


def test_two_manifests_with_one_id_lose_nothing(home: Home) -> None:
    home.write("mon/a.jsonl", rows("1", "2", text="monday"))
    home.write("tue/b.jsonl", rows("1", "3", text="tuesday"))
    home.see()
    run(home)
    assert failure_types(home) == {"tue/b.jsonl:1": "duplicate_id"}
    [failed] = home.store.failed(JOB)
    assert failed.failure is not None
    assert "line 1 of " in failed.failure.message
    assert "mon/a.jsonl" in failed.failure.message
    assert home.requested() == 3
    assert set(home.statuses()) == {"1", "2", "3", "tue/b.jsonl:1"}


def test_a_file_and_a_row_of_one_name_lose_nothing(home: Home) -> None:
    home.write("a.jsonl", rows("x/y"))
    home.write("x/y", "a file")
    home.see()
    run(home)
    assert failure_types(home) == {"/x/y": "duplicate_path"}
    assert home.requested() == 1


def test_seeing_both_again_changes_nothing(home: Home) -> None:
    home.write("a.jsonl", rows("1"))
    home.write("b.jsonl", rows("1", text="other"))
    home.see()
    run(home)
    before = home.documents()
    for _ in range(2):
        home.see()
        run(home)
    assert home.documents() == before
    assert home.requested() == 1


def test_a_path_goes_to_the_other_once_the_first_is_gone(home: Home) -> None:
    home.write("a.jsonl", rows("1"))
    home.write("b.jsonl", rows("1", text="other"))
    home.see()
    run(home)
    (home.root / "input" / "a.jsonl").unlink()
    home.see()
    run(home)
    assert home.statuses() == {"1": REPORTED}
    assert home.requested() == 2


def test_a_row_that_moves_to_another_manifest_keeps_its_report(home: Home) -> None:
    home.write("a.jsonl", rows("1", "2"))
    home.see()
    run(home)
    home.write("a.jsonl", rows("2"))
    home.write("b.jsonl", rows("1"))
    home.see()
    run(home)
    assert home.statuses() == {"1": REPORTED, "2": REPORTED}
    assert home.requested() == 2


def test_an_input_that_was_moved_is_not_paid_for_again(home: Home) -> None:
    home.write("old/a.md", "# A")
    blobs = home.deps.documents

    def see(folder: str) -> None:
        found = [(each, each.key.removeprefix(f"{folder}/")) for each in blobs.list(f"{folder}/")]
        take_in(
            home.deps,
            JOB,
            (s for each, path in found for s in sightings_of(blobs, each, path, recipe=None)),
            ready=True,
        )

    see("old")
    run(home)
    (home.root / "input" / "old").rename(home.root / "input" / "new")
    see("new")
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == 1


def test_failures_of_what_left_the_input_are_forgotten(home: Home) -> None:
    home.write("empty.md", "")
    home.write("a.md", "# A")
    home.write("rows.jsonl", rows("1") + "{broken\n")
    home.see()
    run(home)
    assert failure_types(home) == {"empty.md": "empty_document", "rows.jsonl:2": "invalid_row"}
    (home.root / "input" / "empty.md").unlink()
    forget_gone(home.deps, JOB)
    assert failure_types(home) == {"rows.jsonl:2": "invalid_row"}
    (home.root / "input" / "rows.jsonl").unlink()
    forget_gone(home.deps, JOB)
    assert home.statuses() == {"a.md": REPORTED, "1": REPORTED}


def test_a_failed_row_that_left_its_manifest_is_forgotten(home: Home) -> None:
    needs_text(home)
    home.write("rows.jsonl", '{"id": "void"}\n' + rows("1"))
    home.see()
    run(home)
    assert failure_types(home) == {"void": "template_error"}
    home.write("rows.jsonl", rows("1"))
    home.see()
    assert home.statuses() == {"1": REPORTED}


def test_a_reported_document_that_failed_anew_and_left_goes_back_to_its_report(home: Home) -> None:
    home.write("a.md", "# A")
    home.see()
    run(home)
    home.write("a.md", "")
    home.see()
    run(home)
    assert home.statuses() == {"a.md": FAILED}
    (home.root / "input" / "a.md").unlink()
    forget_gone(home.deps, JOB)
    assert home.statuses() == {"a.md": REPORTED}
    home.write("a.md", "# A")
    home.see()
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert home.requested() == 1


def test_a_report_that_was_removed_is_a_failure_that_retry_mends(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(check_reports=True))
    home.write("a.md", "# A")
    home.see()
    run(home)
    report = home.root / "output" / "a.md.md"
    kept = report.read_bytes()
    report.unlink()
    home.see()
    run(home)
    assert failure_types(home) == {"a.md": "report_missing"}
    assert home.requested() == 1
    report.write_bytes(kept)
    home.see()
    assert home.statuses() == {"a.md": REPORTED}
    report.unlink()
    home.see()
    assert requeue(home.deps, JOB) == 1
    run(home)
    assert home.statuses() == {"a.md": REPORTED}
    assert report.is_file()
    assert home.requested() == 2


def test_what_failed_by_its_recipe_waits_again_when_that_is_asked_for(home: Home) -> None:
    needs_text(home)
    home.write("rows.jsonl", '{"id": "void"}\n')
    home.write("empty.md", "")
    home.see()
    run(home)
    assert failure_types(home) == {"void": "template_error", "empty.md": "empty_document"}
    home.recipe = parse_recipe(RECIPE, name="recipe.md", catalog=home.deps.catalog)
    assert requeue_unpaid(home.deps, JOB) == 1
    run(home)
    assert home.statuses() == {"void": REPORTED, "empty.md": FAILED}


@pytest.mark.parametrize("name", ["rows.jsonl", "manifest.csv", "manifest.json"])
def test_a_manifest_can_be_taken_in_by_pieces(home: Home, name: str) -> None:
    ids = [f"row-{number:04}" for number in range(1600)]
    match name.rsplit(".", 1)[-1]:
        case "jsonl":
            home.write(name, rows(*ids))
        case "csv":
            lines = [f'{each},"text, and\nmore of {each}"' for each in ids]
            home.write(name, "id,text\n" + "\n".join(lines))
        case _:
            home.write(name, "[" + ",\n".join(rows(each).strip() for each in ids) + "]")
    blob = home.deps.documents.stat(name)
    start = None
    pieces = 0
    while True:
        seen = sightings_of(home.deps.documents, blob, name, recipe=home.recipe, start=start)
        taken = take_in(home.deps, JOB, seen, until=home.now - timedelta(seconds=1))
        pieces += 1
        assert taken.new
        if taken.left is None:
            break
        start = taken.left.content.row
    assert pieces == 4
    assert sorted(home.documents()) == ids
    assert not failure_types(home)
    run_from_the_start = home.see()
    assert (run_from_the_start.new, run_from_the_start.unchanged) == (0, 1600)


def test_what_comes_back_after_its_report_was_removed_is_told(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(check_reports=True))
    home.write("a.md", "# A")
    home.see()
    run(home)
    home.write("a.md", "# A, another")
    home.see()
    (home.root / "input" / "a.md").unlink()
    run(home)
    forget_gone(home.deps, JOB)  # it left before it was sent: back to its report
    assert home.statuses() == {"a.md": REPORTED}
    (home.root / "output" / "a.md.md").unlink()
    home.write("a.md", "# A")
    home.see()
    run(home)
    assert failure_types(home) == {"a.md": "report_missing"}
    assert home.requested() == 1
