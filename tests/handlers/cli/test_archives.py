"""`docmill run` on archives, Git work trees and folders that are one document."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.archives import KINDS, packed, zipped
from tests.handlers.cli.command import (
    Docmill,
    Provider,
    ended,
    failures,
    line_with,
    reports,
    write_documents,
)

QUICK = ("--poll-interval", "0.05", "--recipe")
FILES: dict[str, str | bytes] = {
    ".gitignore": "*.log\n",
    "README.md": "# Hello\n",
    "pyproject.toml": "[project]\n",
    "src/main.py": "print('hello')\n",
    "src/debug.log": "noise",
    "node_modules/x/index.js": "x",
}
TAKEN = {"README.md", "pyproject.toml", "src/main.py"}


def recipe(folder: Path, keys: str = "description: none") -> Path:
    found = folder / "review.md"
    found.write_text(
        f"---\nmodel: claude-opus-4-6\nmax_tokens: 1000\n{keys}\n---\n"
        "Review it.\n\n{{ document.text }}\n"
    )
    return found


def work_tree(folder: Path) -> Path:
    """A Git work tree with the files, none of them committed."""
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    subprocess.run(["git", "init", "-q", folder], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_is_a_document_for_each_of_its_files(
    tmp_path: Path, docmill: Docmill, provider: Provider, name: str
) -> None:
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / name
    archive.write_bytes(packed(name, FILES))
    out = tmp_path / "out"
    command = ("run", archive, "--out", out, *QUICK, recipe(tmp_path))
    done = docmill(*command)
    assert (done.status, done.err) == (0, "")
    assert reports(out) == {f"{name}/{path}.md" for path in TAKEN}
    said = "left out 1 hidden, 1 ignored by .gitignore, 1 in folders of other people's code"
    assert f"{name}: {said}" in done.out
    assert docmill(*command).status == 0
    assert sum(provider.requested().values()) == len(TAKEN)


def test_or_one_document(tmp_path: Path, docmill: Docmill, provider: Provider) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "code.zip").write_bytes(zipped(FILES))
    out = tmp_path / "out"
    chosen = recipe(tmp_path, "archives: document")
    assert docmill("run", tmp_path / "in", "--out", out, *QUICK, chosen).status == 0
    assert reports(out) == {"code.zip.md"}
    assert provider.requested() == {"code-zip": 1}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("archives: files", {f"{path}.md" for path in TAKEN}),
        ("archives: document", {"my-repo.md"}),
        (
            "description: none",
            {f"{path}.md" for path in (*TAKEN, "src/debug.log", "node_modules/x/index.js")},
        ),
    ],
)
def test_a_work_tree_is_read_as_its_archive_would_be_where_the_recipe_says_so(
    tmp_path: Path, docmill: Docmill, provider: Provider, keys: str, expected: set[str]
) -> None:
    folder = work_tree(tmp_path / "my-repo")
    out = tmp_path / "out"
    command = ("run", folder, "--out", out, *QUICK, recipe(tmp_path, keys))
    estimated = docmill(*command, "--dry-run")
    assert estimated.status == 0
    assert f"{len(expected)} document" in estimated.out
    assert docmill(*command).status == 0
    assert reports(out) == expected
    assert docmill(*command).status == 0
    assert sum(provider.requested().values()) == len(expected)


def test_a_work_tree_as_one_document_is_sent_again_once_a_file_of_it_changes(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    folder = work_tree(tmp_path / "my-repo")
    out = tmp_path / "out"
    command = ("run", folder, "--out", out, *QUICK, recipe(tmp_path, "archives: document"))
    assert docmill(*command).status == 0
    (folder / "src" / "debug.log").write_text("more noise")
    assert docmill(*command).status == 0
    assert provider.requested() == {"my-repo": 1}
    (folder / "src" / "main.py").write_text("print('changed')")
    assert docmill(*command).status == 0
    assert provider.requested() == {"my-repo": 2}


def test_folders_are_documents_and_a_part_that_can_not_be_read_is_named(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    for name in ("acme", "zorn"):
        write_documents(tmp_path / "in" / name, 3)
    (tmp_path / "in" / "zorn" / "scan.bin").write_bytes(b"\x7fELF\0\0")
    out = tmp_path / "out"
    chosen = recipe(tmp_path, "documents: folder")
    assert docmill("run", tmp_path / "in", "--out", out, *QUICK, chosen).status == 1
    assert reports(out) == {"acme.md"}
    [failure] = failures(out)
    assert failure["path"] == "zorn"
    assert failure["message"].startswith("scan.bin: it is ")
    assert provider.requested() == {"acme": 1}


def test_hostile_and_broken_archives_fail_in_their_row_and_the_rest_goes_on(
    tmp_path: Path, docmill: Docmill
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "escape.zip").write_bytes(zipped({"../../x.md": "x", "good.md": "y"}))
    (folder / "no.zip").write_text("no archive")
    (folder / "bomb.zip").write_bytes(zipped({f"{n}": b"\0" * (10 << 20) for n in range(8)}))
    (folder / "nonsense.json").write_text("[" * 10_000)
    (folder / "fine.md").write_text("fine")
    out = tmp_path / "out"
    done = docmill("run", folder, "--out", out, *QUICK, recipe(tmp_path))
    assert done.status == 1
    assert reports(out) == {"escape.zip/good.md.md", "fine.md.md", "nonsense.json.md"}
    assert {failure["path"]: failure["type"] for failure in failures(out)} == {
        "escape.zip:1": "invalid_name",
        "no.zip": "invalid_archive",
        "bomb.zip": "invalid_archive",
    }
    assert "Traceback" not in done.out + done.err


def test_a_run_over_an_archive_that_is_killed_goes_on_and_pays_once(
    tmp_path: Path, docmill: Docmill, provider: Provider
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "code.zip").write_bytes(zipped({f"{n}.py": f"{n}" for n in range(60)}))
    out = tmp_path / "out"
    command = ("run", tmp_path / "in", "--out", out, *QUICK, recipe(tmp_path))
    with docmill.start(*command) as process:
        line_with(process, "submitted as")
        process.kill()
        ended(process)
    assert docmill(*command).status == 0
    assert reports(out) == {f"code.zip/{n}.py.md" for n in range(60)}
    assert set(provider.requested().values()) == {1}


def test_what_is_left_out_is_an_event_for_programs(tmp_path: Path, docmill: Docmill) -> None:
    folder = work_tree(tmp_path / "my-repo")
    out = tmp_path / "out"
    chosen = recipe(tmp_path, "archives: files")
    done = docmill("run", folder, "--out", out, *QUICK, chosen, "--json", "--simulate")
    events = map(json.loads, done.out.splitlines())
    [said] = [event["message"] for event in events if event["event"] == "files_left_out"]
    assert said == (
        f"{folder}: left out 1 ignored by .gitignore, 1 in folders of other people's code"
    )
