"""The command as a process: locales, standard output that can't be written, signals."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from tests.handlers.cli.command import (
    PATIENCE_S,
    ROOT,
    Docmill,
    Provider,
    ended,
    failures,
    line_with,
    write_documents,
)

NAME = 'été "neu" 数据 😀.txt'


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    """A run over three documents, one of which says much with its name."""
    write_documents(tmp_path / "in", 2)
    (tmp_path / "in" / NAME).write_text("Grüße.\n")
    (tmp_path / "in" / "leer 数据.txt").write_text("")
    recipe = tmp_path / "review.md"
    recipe.write_text("---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n---\n{{ document.text }}\n")
    where = ("run", tmp_path / "in", "--out", tmp_path / "out", "--recipe", recipe)
    return (*where, "--poll-interval", "0.05")


@pytest.fixture(params=["C without Python's own remedy", "ISO-8859-1"])
def locale(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An environment whose names are not in UTF-8."""
    if request.param != "ISO-8859-1":
        return {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    name = "en_US.ISO-8859-1"
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("no localedef here")
    made = subprocess.run(
        [localedef, "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / name)], check=False
    )
    if made.returncode:
        pytest.skip("no such locale can be made here")
    return {"LC_ALL": name, "LOCPATH": str(tmp_path)}


def test_names_are_utf8_whatever_the_locale_says(
    tmp_path: Path, docmill: Docmill, command: tuple[object, ...], locale: dict[str, str]
) -> None:
    done = docmill.alone(*command, "--group-by", "none", environment=locale)
    assert (done.status, done.err) == (1, "")
    assert "failed: leer 数据.txt: " in done.out
    names = [os.fsencode(path.name) for path in (tmp_path / "out").iterdir()]
    assert f"{NAME}.md".encode() in names
    assert [line["path"] for line in failures(tmp_path / "out")] == ["leer 数据.txt"]
    assert docmill.alone("status", tmp_path / "out", environment=locale).status == 1


def test_the_simulator_of_a_run_speaks_utf8_as_well(
    tmp_path: Path, command: tuple[object, ...], locale: dict[str, str]
) -> None:
    done = Docmill({}).alone(*command, "--simulate", environment=locale)
    assert (done.status, done.err) == (1, "")
    assert "3 of 4 documents reported" in done.out
    assert (tmp_path / "out" / f"{NAME}.md").is_file()


COMMANDS = [
    *(("status", "out"), ("status", "out", "--json"), ("recipes",), ("--help",)),
    *(("recipes", "show", "project-analysis"), ("run", "in", "--out", "out", "--simulate")),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an `in` and a finished `out`."""
    found = tmp_path_factory.mktemp("place")
    write_documents(found / "in", 2)
    assert Docmill({}).alone("run", found / "in", "--out", found / "out", "--simulate").status == 0
    return found


def shell(place: Path, words: tuple[str, ...], how: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a shell does, with its output redirected."""
    program = f'"{sys.executable}" -m handlers.cli.main {" ".join(words)} {how}'
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("ANTHROPIC_")}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", program],
        cwd=place,
        env=inherited | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_behind_standard_output_is_one_line(
    place: Path, words: tuple[str, ...]
) -> None:
    done = shell(place, words, "> /dev/full")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    told = "docmill: standard output can't be written: No space left on device"
    assert line.startswith(told)
    assert ("the same command resumes" in line) == (words[0] == "run")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_who_closes_the_streams_gets_the_work_and_the_status_all_the_same(
    place: Path, words: tuple[str, ...]
) -> None:
    done = shell(place, words, ">&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert shell(place, words, "<&- >&- 2>&-").returncode == 0


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_reader_that_goes_away_gives_three(place: Path, words: tuple[str, ...]) -> None:
    absolute = [place / word if word in {"in", "out"} else word for word in words]
    with Docmill({}).start(*absolute) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(PATIENCE_S) == 3
    told = "docmill: nobody reads standard output any more; submitted batches go on"
    assert said.startswith(told) if words[0] == "run" else not said


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "told to stop")],
)
def test_a_signal_is_answered_with_how_to_resume(  # noqa: PLR0917 - fixtures
    docmill: Docmill,
    provider: Provider,
    command: tuple[object, ...],
    number: signal.Signals,
    status: int,
    word: str,
) -> None:
    provider.running.simulator.settings = SimulatorSettings(duration_s=600)
    with docmill.start(*command) as process:
        line_with(process, "submitted as")
        process.send_signal(number)
        done = ended(process)
    assert done.status == status
    assert done.err == (
        f"\ndocmill: {word}; submitted batches go on at the provider, and the same command "
        "resumes from here\n"
    )
    assert provider.in_progress() == 1


@pytest.mark.parametrize("sentence", ["", "what is done stays"])
def test_only_what_a_command_says_of_itself_is_said_on_leaving(sentence: str) -> None:
    program = (
        "import sys; from handlers.cli.process import leave, on_leaving; "
        "on_leaving(sys.argv[1]) if sys.argv[1] else None; leave()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sentence],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=PATIENCE_S,
    )
    told = f"interrupted; {sentence}" if sentence else "interrupted"
    assert (done.returncode, done.stderr) == (130, f"\ndocmill: {told}\n")
