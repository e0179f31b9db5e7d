"""What is shown while a question is asked, on each display."""

import io

import pytest
from rich.console import Console

from handlers.cli.display import Display, JsonLines, Lines, LivePanel


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
        display.tell("note", {"message": "and on"})
    assert "and on" in screen.getvalue() + capsys.readouterr().out
    assert screen.getvalue().count("\x1b[?25l") == (2 if kind == "live" else 0)
