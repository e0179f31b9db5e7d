import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from shared.app.control import requeue, requeue_unpaid
from shared.app.report_places import put_in_place
from shared.app.submit import submit
from shared.domain.policy import Policy
from tests.app.home import JOB, Home
from tests.app.jobs import REPORTED, only, run


def failure_types(home: Home) -> dict[str, str]:
    return {path: d.failure.type for path, d in home.documents().items() if d.failure}


def test_nothing_is_sent_whose_report_has_no_place(home: Home) -> None:
    (home.root / "output" / "a.md").mkdir()
    (home.root / "output" / "folder").write_text("mine")
    for path in ("a", "folder/b", "c"):
        home.write(path, f"# A document: {path}")
    home.see()
    run(home)
    assert failure_types(home) == {"a": "report_blocked", "folder/b": "report_blocked"}
    assert home.requested() == 1
    (home.root / "output" / "a.md").rmdir()
    (home.root / "output" / "folder").unlink()
    assert requeue_unpaid(home.deps, JOB) == 2
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 3


def test_a_file_of_the_persons_own_is_never_written_over(home: Home) -> None:
    home.deps = replace(home.deps, policy=Policy(check_reports=True))
    mine = home.root / "output" / "a.md.md"
    mine.write_text("my own notes")
    home.write("a.md", "# A")
    home.see()
    run(home)
    assert failure_types(home) == {"a.md": "report_blocked"}
    assert mine.read_text() == "my own notes"
    assert home.requested() == 0
    mine.unlink()
    requeue_unpaid(home.deps, JOB)
    run(home)
    assert only(home, REPORTED)
    home.write("a.md", "# A, changed")  # docmill's own is replaced
    home.see()
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


@pytest.mark.parametrize("first", ["a", "a.md/b/c", "both"])
def test_a_report_and_a_folder_of_one_name_are_told_before_either_is_paid_for(
    home: Home, first: str
) -> None:
    for path in ("a", "a.md/b/c") if first == "both" else (first,):
        home.write(path, f"# {path}")
    home.see()
    run(home)
    for path in ("a", "a.md/b/c"):
        home.write(path, f"# {path}")
    home.see()
    run(home)
    other = "a" if first == "a.md/b/c" else "a.md/b/c"
    assert failure_types(home) == {other: "report_blocked"}
    assert home.requested() == 1


def kept_aside(home: Home) -> tuple[Path, Path]:
    """One report that could not be written when it came: its place, and where it is."""
    home.write("a.md", "# A")
    home.see()
    asyncio.run(submit(home.deps))
    place = home.root / "output" / "a.md.md"
    place.mkdir()
    run(home)
    [document] = home.store.failed(JOB)
    assert document.failure is not None
    assert document.failure.type == "report_not_written"
    [kept] = (home.root / "output" / ".docmill" / "unwritten").iterdir()
    assert str(kept) in document.failure.message
    assert "docmill retry" in document.failure.message
    return place, kept


def test_a_report_that_could_not_be_written_is_kept_and_paid_for_once(home: Home) -> None:
    place, kept = kept_aside(home)
    report = kept.read_bytes()
    assert put_in_place(home.deps, JOB) == (0, frozenset({"a.md"}))
    assert requeue(home.deps, JOB, kept={"a.md"}) == 0
    place.rmdir()
    assert put_in_place(home.deps, JOB) == (1, frozenset())
    assert only(home, REPORTED)
    assert place.read_bytes() == report
    assert not kept.exists()
    home.see()
    run(home)
    assert home.requested() == 1


def test_a_kept_report_that_was_removed_is_made_again_by_a_retry(home: Home) -> None:
    place, kept = kept_aside(home)
    place.rmdir()
    kept.unlink()
    assert put_in_place(home.deps, JOB) == (0, frozenset())
    assert failure_types(home) == {"a.md": "report_missing"}
    assert requeue(home.deps, JOB) == 1
    run(home)
    assert only(home, REPORTED)
    assert home.requested() == 2


def test_what_changed_meanwhile_gets_its_new_report(home: Home) -> None:
    place, kept = kept_aside(home)
    home.write("a.md", "# A, changed")
    home.see()
    place.rmdir()
    assert put_in_place(home.deps, JOB) == (0, frozenset())
    run(home)
    assert only(home, REPORTED)
    assert place.read_bytes() != kept.read_bytes()
