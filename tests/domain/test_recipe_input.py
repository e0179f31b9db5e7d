"""The keys that say what of the input is one document."""

import pytest

from shared.domain.recipe import RecipeError
from shared.domain.recipe_input import Archives, InputShape
from tests.archives import recipe


def test_without_the_keys_every_file_is_a_document() -> None:
    shape = recipe("description: none").shape
    assert shape == InputShape(archives=None, folder_depth=0)
    assert not shape.whole_archives
    assert shape.folder_of("a/b/c.md") is None


@pytest.mark.parametrize("how", list(Archives))
def test_archives_are_files_or_one_document(how: Archives) -> None:
    assert recipe(f"archives: {how}").shape.archives is how


@pytest.mark.parametrize(
    ("said", "path", "folder"),
    [
        ("files", "acme/a.md", None),
        ("folder", "a.md", None),
        ("folder", "acme/a.md", "acme"),
        ("folder", "acme/annexes/1.md", "acme"),
        ("group/folder", "2026/a.md", None),
        ("group/folder", "2026/acme/annexes/1.md", "2026/acme"),
        ("group/group/folder", "eu/2026/acme/1.md", "eu/2026/acme"),
    ],
)
def test_a_folder_at_the_depth_that_is_said_is_one_document(
    said: str, path: str, folder: str | None
) -> None:
    assert recipe(f"documents: {said}").shape.folder_of(path) == folder


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("archives: one", "archives: 'one' is neither files nor document"),
        ("archives: [files]", "is neither files nor document"),
        ("archives: {}", "is neither files nor document"),
        ("documents: 3", "documents: 3 is neither files nor folder nor group/folder"),
        ("documents: folder/group", "neither files nor folder nor group/folder"),
        ("documents: folders", "neither files nor folder nor group/folder"),
    ],
)
def test_anything_else_is_refused_with_its_line(keys: str, why: str) -> None:
    with pytest.raises(RecipeError) as refused:
        recipe(keys)
    assert str(refused.value).startswith("recipe.md:5: ")
    assert why in str(refused.value)


def test_what_is_one_document_is_in_no_request_so_the_fingerprint_stays() -> None:
    plain = recipe("description: none").fingerprint
    assert recipe("archives: document\ndocuments: folder").fingerprint == plain
