"""What common sense leaves out, and what it must not."""

import pytest

from shared.domain.left_out import (
    BINARY,
    GENERATED,
    LOCKS,
    VENDORED,
    LeftOut,
    is_hidden,
    marks_a_project,
    needless,
)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("node_modules/x/index.js", VENDORED),
        ("web/Vendor/lib.go", VENDORED),
        ("node_modules/", VENDORED),
        ("src/__pycache__/a.cpython-311.pyc", GENERATED),
        ("x.egg-info/PKG-INFO", GENERATED),
        ("web/app.min.js", GENERATED),
        ("web/app.js.map", GENERATED),
        ("api/service_pb2.py", GENERATED),
        ("package-lock.json", LOCKS),
        ("a/Cargo.lock", LOCKS),
        ("logo.PNG", BINARY),
        ("lib/x.so", BINARY),
        ("src/main.py", None),
        ("src/vendor.py", None),
        ("docs/distribution/a.md", None),
        ("png", None),
        ("Makefile", None),
        ("src/", None),
        ("logo.png/", None),
        ("icon.svg", None),
        ("manual.pdf", None),
        ("locks/readme.lock.md", None),
    ],
)
def test_what_nobody_wrote_by_hand_is_needless_in_source_code(path: str, why: str | None) -> None:
    assert needless(path) == why


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (".git/config", True),
        ("a/.env", True),
        ("__MACOSX/a/._b", True),
        ("a/Thumbs.db", True),
        ("../x", False),
        ("a/./b", False),
        ("a/b", False),
    ],
)
def test_hidden_is_what_a_system_hides_or_leaves_behind(path: str, hidden: bool) -> None:
    assert is_hidden(path) is hidden


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("a/package.json", True),
        (".gitignore", True),
        ("x/App.csproj", True),
        ("contract.md", False),
    ],
)
def test_source_code_is_known_by_what_lies_beside_it(name: str, marks: bool) -> None:
    assert marks_a_project(name) is marks


def test_what_was_left_out_is_told_by_kind() -> None:
    found = LeftOut()
    assert str(found) == ""
    for kind in (LOCKS, BINARY, BINARY):
        found.add(kind)
    assert str(found) == "2 images, media or binaries, 1 lock files"
