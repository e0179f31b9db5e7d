"""What is left out is what Git leaves out: Git itself is asked."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.gitignore import Ignored

SEGMENTS = ("a", "b", "build", "x.log", "keep.log", "doc", "ä")
PATHS = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map("/".join)
PATTERNS = st.sampled_from(
    (
        *("*.log", "!keep.log", "/build", "build/", "doc/**/a", "**/b", "a/*", "!a/b", "*", "!*/"),
        *(
            "a/**",
            "# comment",
            "",
            "\\#x",
            "!x.log",
            "/a/b/",
            "[ab]",
            "?",
            "doc/",
            "x.*",
            "ä",
            "*.log  ",
        ),
    )
)
FILES = st.dictionaries(
    st.sampled_from(("", "a", "doc", "a/b", "build")), st.lists(PATTERNS, max_size=4), max_size=3
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True, timeout=60)
    return folder


def ignored_by_git(folder: Path, paths: list[str]) -> set[str]:
    """Those of the paths, which needn't be there but for their folders."""
    done = subprocess.run(
        ["git", "-c", "core.excludesFile=", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=folder,
        input="\0".join(paths),
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr
    return set(filter(None, done.stdout.split("\0")))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=FILES, paths=st.lists(PATHS, min_size=1, max_size=8, unique=True))
def test_the_same_files_are_left_out_as_by_git(
    tmp_path_factory: pytest.TempPathFactory,
    repository: Path,
    files: dict[str, list[str]],
    paths: list[str],
) -> None:
    for old in sorted(repository.rglob("*"), reverse=True):
        if ".git" not in old.relative_to(repository).parts:
            old.rmdir() if old.is_dir() else old.unlink()
    # A path is a file only where nothing lies below it.
    wanted = [path for path in paths if not any(p.startswith(path + "/") for p in paths)]
    wanted = [
        path
        for path in wanted
        if path not in files and not any(f.startswith(path + "/") for f in files)
    ]
    for path in wanted:
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("x")
    contents = {}
    for folder, lines in files.items():
        (repository / folder).mkdir(parents=True, exist_ok=True)
        contents[folder] = "\n".join(lines).encode()
        (repository / folder / ".gitignore").write_bytes(contents[folder])
    ignored = Ignored(contents.get)
    assert {path for path in wanted if ignored(path)} == ignored_by_git(repository, wanted)


def test_a_file_of_patterns_may_be_anything() -> None:
    ignored = Ignored({"": b"\xff\xfe\x00[\n!\n**\\\n*.log\r\n\xef\xbb\xbf"}.get)
    assert ignored("x.log")
    assert not ignored("x.txt")


def test_a_file_is_read_once_however_many_paths_are_asked_about() -> None:
    asked: list[str] = []

    def read(folder: str) -> bytes | None:
        asked.append(folder)
        return b"*.log"

    ignored = Ignored(read)
    assert [ignored(f"a/b/{n}.log") for n in range(50)] == [True] * 50
    assert len(asked) == len(set(asked))
