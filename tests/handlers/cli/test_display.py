"""What each display shows: events, numbers as they change, a sign of life, the end."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from handlers.cli.display import SIGN_OF_LIFE_S, Display, JsonLines, Lines, LivePanel
from handlers.cli.progress import Progress
from shared.domain.summary import Summary
from tests.handlers.cli.jobs import job

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("kind", ["live", "lines", "json"])
def test_a_display_makes_way_for_a_question_and_goes_on(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60)
    displays: dict[str, Display] = {
        "live": LivePanel(console),
        "lines": Lines(lambda line: print(line, file=screen)),
        "json": JsonLines(),
    }
    with displays[kind] as display:
        with display.paused():
            shown = screen.getvalue()
            assert shown.count("\x1b[?25h") == (kind == "live"), "the cursor is the question's"
        display.tell("batch_vanished", {"batch": "b", "message": "and on"})
    assert "and on" in screen.getvalue() + capsys.readouterr().out
    assert screen.getvalue().count("\x1b[?25l") == (2 if kind == "live" else 0)


def test_lines_tell_the_numbers_when_they_change_and_now_and_then() -> None:
    clock, told = Clock(), list[str]()
    display = Lines(told.append, clock=clock)
    display.refresh(job())
    [line] = told
    assert line == (
        "0:00:00  7 waiting, 1,500 in batches (processing 1,000 of 1,500), 2,000 reported, "
        "3 failed, $12.5000 so far"
    )
    clock.now = SIGN_OF_LIFE_S - 1
    display.refresh(job())
    assert len(told) == 1
    display.refresh(job(processing=400))
    assert len(told) == 2
    assert "processing 900 of 1,500" in told[1]
    clock.now += SIGN_OF_LIFE_S
    display.refresh(job(processing=400))
    assert [line.split()[0] for line in told] == ["0:00:00", "0:04:59", "0:09:59"]


def test_numbers_are_shown_soon_after_they_change_once_a_second_and_in_the_end_always() -> None:
    clock, told = Clock(), list[str]()
    jobs = [job(processing=900), job(processing=800)]
    progress = Progress(
        Lines(told.append, clock=clock), lambda: jobs.pop(0) if jobs else job(), clock=clock
    )
    clock.now = 1.0
    progress.emit("batch_checked", batch="b", processing=900, total=1000)
    progress.emit("batch_checked", batch="c", processing=500, total=500)
    assert len(told) == 1
    clock.now = 1.9
    progress.look()
    assert len(told) == 1
    clock.now = 2.0
    progress.look()
    assert len(told) == 2, "what the last event changed is shown although no event follows"
    progress.emit("batch_ended", batch="b")
    clock.now = 4.0
    progress.look()
    assert told[2:] == ["batch b ended"]


def test_who_waits_for_hours_gets_a_sign_of_life() -> None:
    clock, told = Clock(), list[str]()
    progress = Progress(Lines(told.append, clock=clock), job, clock=clock)
    for second in range(3600):
        clock.now = float(second)
        progress.look()
    assert len(told) == 3600 // SIGN_OF_LIFE_S - 1
    assert told[0].startswith("0:05:00  7 waiting")


def test_adding_a_large_job_up_takes_no_more_than_a_twentieth_of_the_time() -> None:
    clock, told = Clock(), list[str]()
    spent = 0.0

    def slow() -> Summary:
        nonlocal spent
        clock.now += 6.0
        spent += 6.0
        return job()

    progress = Progress(Lines(told.append, clock=clock), slow, clock=clock)
    for _ in range(1000):
        clock.now += 1.0
        progress.emit("batch_checked", batch="b")
    assert 6.0 < spent <= clock.now / 20 + 6.0


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    shown = capsys.readouterr().out
    assert shown.isascii()
    return [json.loads(line, parse_float=Decimal) for line in shown.splitlines()]


def test_json_has_a_time_and_exact_amounts_and_null_for_what_is_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = JsonLines(clock=lambda: NOW)
    display.tell("estimated", {"likely_usd": None, "at_most_usd": Decimal("0.100000000000000001")})
    display.tell("batch_collected", {"cost_usd": "0.10"})
    display.tell("note", {"message": "for people"})
    display.tell("document_failed", {"document": "😀 \udcff.txt"})
    assert events(capsys) == [
        {
            "event": "estimated",
            "at": "2026-11-25T12:00:00Z",
            "likely_usd": None,
            "at_most_usd": Decimal("0.100000000000000001"),
        },
        {"event": "batch_collected", "at": "2026-11-25T12:00:00Z", "cost_usd": Decimal("0.1")},
        {
            "event": "document_failed",
            "at": "2026-11-25T12:00:00Z",
            "document": "😀 \\udcff.txt",
        },
    ]


def test_json_ends_with_the_numbers_and_the_exit_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    JsonLines().finish(job(), out="out", status=3)
    [found] = events(capsys)
    del found["at"]
    assert found == {
        "event": "finished",
        "waiting": 7,
        "in_batch": 1500,
        "reported": 2000,
        "failed": 3,
        "total": 3510,
        "batches_in_progress": 2,
        "requests_processing": 1000,
        "requests_in_progress": 1500,
        "cost_usd": Decimal("12.5"),
        "unpriced": 0,
        "out": "out",
        "exit_status": 3,
    }


@pytest.mark.parametrize("width", [45, 120])
def test_the_live_panel_and_its_end_fit_the_terminal(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    display = LivePanel(console)
    with display:
        display.refresh(job())
        display.finish(job(), out="out", status=3)
    shown = screen.getvalue()
    for text in ("1,000 of 1,500", "$12.5000", "2,000 of 3,510 documents reported"):
        assert text in shown
    assert "…" not in shown
