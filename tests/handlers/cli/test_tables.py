import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from handlers.cli.in_flight import InFlight, in_flight
from handlers.cli.tables import panel, summary_table
from shared.domain.document import DocumentStatus
from tests.handlers.cli.jobs import groups, job


def lines(shown: RenderableType, width: int) -> list[str]:
    """What a terminal of this width shows."""
    screen = io.StringIO()
    Console(file=screen, width=width).print(shown)
    found = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert all(len(line) <= width for line in found)
    return found


def test_the_providers_counts_are_added_up_over_batches_in_progress() -> None:
    assert in_flight(job()) == InFlight(batches=2, processing=1000, total=1500)
    assert in_flight(job(processing=0)).processing == 500


@pytest.mark.parametrize("width", [45, 80, 120])
def test_no_heading_and_no_number_of_the_panel_is_cut(width: int) -> None:
    flight = in_flight(job())
    shown = lines(
        panel(job(), flight, since=timedelta(hours=3), simulated=True, width=width), width
    )
    assert len(shown) == (2 if width == 120 else 7)
    text = "\n".join(shown)
    for word in ("waiting", "in batches", "reported", "failed", "time", "cost so far"):
        assert word in text
    for number in ("7", "1,500", "1,000 of 1,500", "2,000", "3:00:00", "$12.5000 (simulated)"):
        assert number in text


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (30, "group reported failed"),
        (45, "group reported failed cost"),
        (80, "group reported failed cost"),
        (100, "group reported truncated failed retried input output cost saved"),
    ],
)
def test_the_table_has_as_many_columns_as_have_room_whole(width: int, columns: str) -> None:
    documents = {
        "a group with a name that is long": {DocumentStatus.REPORTED: 1_000_000},
        "y": {DocumentStatus.REPORTED: 2000},
    }
    shown = lines(summary_table(job(documents), width=width), width)
    assert shown[0].split() == columns.split()
    assert len(shown) == 4  # the third group has a batch and no documents
    assert all("1,0" not in line or "1,000,000" in line or "1,002,000" in line for line in shown)
    assert not any("…" in line.split(maxsplit=1)[-1] for line in shown[2:])


def test_of_many_groups_the_largest_are_shown_in_order_and_the_rest_is_counted() -> None:
    shown = lines(summary_table(job(groups(1600)), width=200), 200)
    assert shown[-1] == "… and 1,581 more groups, see summary.json"
    names = [line.split()[0] for line in shown[1:-2]]
    assert names == [f"g{n:04}" for n in range(1580, 1600)]
    assert shown[-2].split()[:2] == ["all", f"{1600 * 1601 // 2:,}"]


def test_twenty_groups_are_all_shown() -> None:
    documents = dict(groups(18))  # and those of the job's batches
    assert "more group" not in "\n".join(lines(summary_table(job(documents), width=200), 200))


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (34, "group reported failed open"),
        (80, "group reported failed open cost"),
        (120, "group reported truncated failed open retried input output cost saved"),
    ],
)
def test_what_is_open_has_a_column_and_a_group_of_nothing_no_row(width: int, columns: str) -> None:
    documents = {
        "waits": {DocumentStatus.WAITING: 1000, DocumentStatus.IN_BATCH: 200},
        "left": {DocumentStatus.WAITING: 0},
        "y": {DocumentStatus.REPORTED: 2000, DocumentStatus.IN_PARTS: 1},
    }
    shown = lines(summary_table(job(documents), width=width), width)
    assert shown[0].split() == columns.split()
    place = columns.split().index("open")
    found = {line.split()[0]: line.split()[place] for line in shown[1:]}
    assert found == {"waits": "1,200", "y": "1", "all": "1,201"}


def test_of_one_group_with_documents_only_the_whole_is_shown() -> None:
    whole = job({"a": {}, "b": {DocumentStatus.WAITING: 3}})
    whole = replace(whole, groups={name: whole.groups[name] for name in ("a", "b")})
    shown = lines(summary_table(whole, width=80), 80)
    assert [line.split()[0] for line in shown] == ["group", "all"]
