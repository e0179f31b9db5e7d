"""What a user or a machine can get wrong: a clear line each, nothing lost, no traceback."""

import json
import os
import random
import re
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from tests.handlers.cli.command import (
    Docmill,
    Provider,
    failures,
    obey_permissions,
    reports,
    write_documents,
)

PROMPT = "Review it.\n\n{{ document.text }}\n"
HEAD = "model: claude-opus-4-6\nmax_tokens: 1000\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    found = tmp_path / "review.md"
    found.write_text(f"---\n{HEAD}---\n{PROMPT}")
    return found


def run(tmp_path: Path, recipe: object) -> tuple[object, ...]:
    """A run from `in` to `out`."""
    where = ("run", tmp_path / "in", "--out", tmp_path / "out", "--recipe", recipe)
    return (*where, "--poll-interval", "0.05")


def test_names_contents_and_rows_that_can_not_be_used_fail_and_the_others_go_on(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_documents(folder, 2)
    (folder / "bell\x07\nred\x1b[31m.txt").write_text("x")
    (folder / "back\\slash.txt").write_text("x")
    Path(str(folder).encode().decode() + "/not\udcffutf8.txt").write_text("x")
    (folder / "empty.md").write_text("")
    (folder / "program.bin").write_bytes(bytes(range(256)) * 20)
    (folder / "secret.txt").write_text("x")
    (folder / "secret.txt").chmod(0)
    (folder / "gone.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "elsewhere").mkdir()
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe")
    long_id = "an-id-that-is-longer-than-the-64-characters-of-a-custom-id/" + "x" * 150
    rows: list[str] = [
        json.dumps({"id": "good", "text": "one"}),
        '{"id": "cut", "text": "tw',
        json.dumps({"id": "good", "text": "again"}),
        json.dumps({"id": "../../etc/passwd", "text": "x"}),
        json.dumps({"id": "tab\tnul\x00", "text": "x"}),
        json.dumps({"id": long_id, "text": "long"}),
        json.dumps({"id": "y" * 300, "text": "too long"}),
        json.dumps({"text": "no id"}),
        json.dumps(["no object"]),
        json.dumps({"id": "last", "text": "end"}),
    ]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    done = docmill.alone(*run(tmp_path, recipe), before=obey_permissions)
    assert (done.status, done.err) == (1, "")
    assert reports(out) == {
        "doc-000.txt.md",
        "doc-001.txt.md",
        "good.md",
        f"{long_id}.md",
        "last.md",
    }
    assert set(provider.requested().values()) == {1}
    found = {line["path"]: line for line in failures(out)}
    assert {path: line["type"] for path, line in found.items() if path.startswith("rows")} == {
        "rows.jsonl:2": "invalid_row",
        "rows.jsonl:3": "duplicate_id",
        "rows.jsonl:4": "invalid_id",
        "rows.jsonl:5": "invalid_id",
        "rows.jsonl:7": "invalid_id",
        "rows.jsonl:8": "missing_id",
        "rows.jsonl:9": "invalid_row",
    }
    for path, line in found.items():
        assert line["message"].isprintable(), path
    others = {path: line["type"] for path, line in found.items() if not path.startswith("rows")}
    assert others["empty.md"] == "empty_document"
    assert others["program.bin"] == "unsupported_type"
    assert others["secret.txt"] == others["gone.txt"] == "unreadable"
    assert others["bell\\x07\\nred\\x1b[31m.txt"] == "invalid_name"
    assert others["back\\slash.txt"] == "invalid_name"
    no_utf8 = found["not\\udcffutf8.txt"]["message"]
    assert no_utf8 == f"{folder}/not\\udcffutf8.txt can't be read: its name isn't UTF-8; rename it"
    assert others["folder"] == others["pipe"] == "unreadable"
    assert len(others) == 9
    assert "\x1b" not in done.out
    assert "\x07" not in done.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nothere",), "no such file or folder: nothere"),
        (("in", "nul\x00"), "can't be read"),
        (("/dev/null",), "/dev/null is neither a folder nor a regular file"),
        (("in", "--recipe", "reveiw.md"), "no recipe reveiw.md: neither a file nor a built-in"),
        (("in", "--poll-interval", "soon"), "--poll-interval"),
        (("in", "--poll-interval", "nan"), "no number of seconds"),
        (("in", "--max-attempts", "0"), "--max-attempts"),
        (("in", "--model", "no such model\n"), "model"),
        (("in", "--recepie", "x"), "No such option"),
        ((), "Missing argument 'INPUT...'"),
        (("bare",), "no documents in bare"),
        (("in", "--group-by", "foldr"), "nor a column of a manifest (no input is one)"),
        (("in/one.csv", "--group-by", "nme"), "manifests here have id, text"),
        (("mine", "in"), "which recipe for all inputs?"),
        (("mine/a.md", "in/one.csv"), "Name one with --recipe"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path,
    docmill: Docmill,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_documents(tmp_path / "in" / "sub", 1)
    (tmp_path / "bare").mkdir()
    write_documents(tmp_path / "mine", 1)
    for name in ("a.md", "_recipe.md"):
        (tmp_path / "mine" / name).write_text(f"---\n{HEAD}---\n{PROMPT}\n")
    for place in ("in", "in/sub"):
        (tmp_path / place / "one.csv").write_text("id,text\na,b\n")
    done = docmill("run", *words, "--out", "out")
    assert done.status == 2
    assert expected in done.said
    assert not done.out


@pytest.mark.parametrize(
    ("head", "prompt", "expected"),
    [
        (HEAD + "max_token: 5\n", PROMPT, "review.md:4: unknown key 'max_token'"),
        ("max_tokens: 1000\n", PROMPT, "model"),
        (HEAD + "params:\n  temperature: 0.5\n  top_p: 1\n", PROMPT, "review.md:5"),
        (HEAD, "{{ document.txt }}", "txt"),
        (HEAD, "{{ document.text ", "review.md:"),
        (HEAD, "{{ nmae }} {{ document.text }}", "nmae"),
        (HEAD.replace("1000", "300001"), PROMPT, "max_tokens"),
        (HEAD.replace("1000", "many"), PROMPT, "review.md:3: max_tokens"),
        (HEAD + "a: [\n", PROMPT, "not valid YAML"),
        (HEAD + "group_by: {}\n", PROMPT, "group_by"),
        (HEAD, "", "prompt"),
    ],
)
def test_a_recipes_mistake_is_named_before_anything_is_spent(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    docmill: Docmill,
    provider: Provider,
    recipe: Path,
    head: str,
    prompt: str,
    expected: str,
) -> None:
    write_documents(tmp_path / "in", 1)
    recipe.write_text(f"---\n{head}---\n{prompt}")
    done = docmill(*run(tmp_path, recipe))
    assert done.status == 2
    assert "review.md" in done.said
    assert expected in done.said
    assert provider.batches() == 0


def test_how_to_change_a_recipe_that_is_not_the_users_is_said(
    tmp_path: Path, docmill: Docmill
) -> None:
    write_documents(tmp_path / "in", 1)
    command = ("run", tmp_path / "in", "--out", tmp_path / "out", "--model", "claude-haiku-4-5")
    done = docmill(*command)
    assert done.status == 2
    assert "lower max_tokens to 64,000" in done.said
    assert "docmill recipes show project-analysis > mine.md" in done.said
    mine = tmp_path / "mine.md"
    text = docmill("recipes", "show", "project-analysis").out
    mine.write_text(text.replace("max_tokens: 300000", "max_tokens: 64000"))
    assert docmill(*command, "--recipe", mine, "--poll-interval", "0.05").status == 0


def test_a_csv_without_a_column_that_the_prompt_needs_fails_as_a_whole(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p.manifest.csv").write_text("id,readme\na,b\nc,d\n")
    recipe.write_text(f"---\n{HEAD}---\n{{{{ reedme }}}}\n")
    done = docmill(*run(tmp_path, recipe))
    assert done.status == 1
    [failure] = failures(tmp_path / "out")
    assert failure["type"] == "invalid_manifest"
    assert "has no column reedme" in failure["message"]
    assert provider.batches() == 0


def test_an_output_inside_the_input_or_around_it_is_refused(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    write_documents(tmp_path / "in" / "deep", 1)
    for inputs, out in (("in", "in"), ("in", "in/out"), ("in/deep", "in")):
        done = docmill("run", tmp_path / inputs, "--out", tmp_path / out, "--recipe", recipe)
        assert done.status == 2
        assert "lies inside the" in done.said
        assert not (tmp_path / out / ".docmill").exists()


def test_an_output_that_is_a_file_or_can_not_be_written_is_one_line(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    write_documents(tmp_path / "in", 1)
    (tmp_path / "out").write_text("")
    assert "is a file" in docmill(*run(tmp_path, recipe)).said
    done = docmill("run", tmp_path / "in", "--out", "/proc/nowhere", "--recipe", recipe)
    assert done.status == 2
    assert "/proc/nowhere can't be written" in done.said


def test_a_state_of_a_newer_version_is_left_alone(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    write_documents(tmp_path / "in", 2)
    assert docmill(*run(tmp_path, recipe)).status == 0
    state = tmp_path / "out" / ".docmill" / "state.db"
    connection = sqlite3.connect(state)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = state.read_bytes()
    for words in (run(tmp_path, recipe), *((w, tmp_path / "out") for w in ("status", "retry"))):
        done = docmill(*words)
        assert done.status == 2
        assert "was written by a newer docmill" in done.said
    assert state.read_bytes() == before
    assert provider.batches() == 1


@pytest.mark.parametrize("intact", [0, 100, 4096, 3 * 4096])
def test_a_damaged_state_is_one_line_and_is_left_alone(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path, intact: int
) -> None:
    write_documents(tmp_path / "in", 300)
    assert docmill(*run(tmp_path, recipe)).status == 0
    state = tmp_path / "out" / ".docmill" / "state.db"
    data = state.read_bytes()
    state.write_bytes(data[:intact] + random.Random(1).randbytes(len(data) - intact))
    for words in (("status", tmp_path / "out"), run(tmp_path, recipe)):
        done = docmill(*words)
        assert done.status == 2
        assert "state.db is damaged or not docmill's" in done.said
        assert "restore it from a backup" in done.said
    assert len(reports(tmp_path / "out")) == 300
    assert provider.batches() == 1


def _small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


def test_a_disk_that_takes_no_more_is_one_line_and_nothing_is_lost(
    tmp_path: Path, docmill: Docmill, provider: Provider, recipe: Path
) -> None:
    names = write_documents(tmp_path / "in", 20)
    for number in range(20):
        (tmp_path / "in" / f"doc-{number:03}.txt").write_text(f"{number} word" * 5000)
    done = docmill.alone(*run(tmp_path, recipe), before=_small_files_only)
    assert done.status == 2
    assert "run the same command again" in done.said
    assert provider.batches() == 0
    assert docmill(*run(tmp_path, recipe)).status == 0
    assert provider.requested() == dict.fromkeys(names, 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The output on a disk of its own, which only root can have."""
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "docmill-test", str(out)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield out
    subprocess.run(["umount", str(out)], check=True)


@pytest.mark.parametrize("size", ["64k", "160k", "300k", "500k", "2m"])
def test_on_a_full_disk_nothing_is_lost_or_requested_twice(  # noqa: PLR0917 - fixtures
    tmp_path: Path, small_disk: Path, docmill: Docmill, provider: Provider, recipe: Path, size: str
) -> None:
    names = write_documents(tmp_path / "in", 8)
    for number in range(8):
        (tmp_path / "in" / f"doc-{number:03}.txt").write_text(f"{number} word" * 5000)
    provider.running.simulator.settings = SimulatorSettings(duration_s=0.2, output_bytes=400_000)
    subprocess.run(["mount", "-o", f"remount,size={size}", str(small_disk)], check=True)
    done = docmill(*run(tmp_path, recipe))
    assert done.status == 2
    assert re.search("disk is full|no room left|No space left", done.said)
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    assert docmill(*run(tmp_path, recipe)).status == 0
    assert provider.requested() == dict.fromkeys(names, 1)
    assert len(reports(small_disk)) == 8


def test_two_names_that_are_no_unicode_are_two_failures_however_deep_they_lie(
    tmp_path: Path, docmill: Docmill, recipe: Path
) -> None:
    deep = tmp_path / "in" / ("d" * 200)
    deep.mkdir(parents=True)
    for name in (b"a\xff", b"b\xff"):
        Path(os.fsdecode(os.fsencode(deep) + b"/" + name)).write_text("x")
    write_documents(tmp_path / "in", 1)
    assert docmill(*run(tmp_path, recipe)).status == 1
    assert [line["type"] for line in failures(tmp_path / "out")] == ["unreadable"] * 2
