import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import front_matter
from shared.domain.recipe_error import RecipeError


def test_head_and_body_come_with_their_lines() -> None:
    found = front_matter.split("---\na: 1\nb:\n  c: [x]\n---\n\nbody\n---\n", name="r.md")
    assert found.values == {"a": 1, "b": {"c": ["x"]}}
    assert found.lines == {("a",): 2, ("b",): 3, ("b", "c"): 4}
    assert found.body == "\nbody\n---\n"
    assert found.body_line == 6


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    plain = front_matter.split("---\na: 1\n---\nbody\nmore", name="r.md")
    assert front_matter.split("\ufeff---\r\na: 1\r\n---\r\nbody\r\nmore", name="r.md") == plain


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("a: &x 1", "r.md:2: no anchors or aliases"),
        ("a: 1\nb: *x", "r.md:3: no anchors or aliases"),
        ("a: !!python/name:os.system x", "r.md:2: tags"),
        ("a: 1\nb: 2\na: 3", "r.md:4: the key 'a' stands here twice"),
        ("a:\n  b: 1\n  b: 2", "r.md:4: the key 'b' stands here twice"),
        ("1: 2", "r.md:2: the key '1' is not text"),
        ("<<: {a: 1}", "r.md:2: the key '<<' is not text"),
        ("? [a]\n: b", "r.md:2: the key 'a list or mapping' is not text"),
        ("a: " + "[" * 40 + "]" * 40, "r.md:2: nested deeper than 32 levels"),
        ("a: " + "[" * 20_000, "r.md:2: nested deeper than 32 levels"),
        ("a: 1\nb: [", "r.md:.: not valid YAML"),
        ("a: x\x00", "r.md:1: not valid YAML"),
        ("a: 2026-13-40", "r.md:1: not valid YAML: month must be in 1..12"),
        ("b: 1\na: 2026-01-02", "r.md:3: a: a date can't be sent; put it into quotes"),
        ("a: {b: [.inf]}", r"r.md:2: a.b\[0\]: inf is no number"),
        ("a: 0x" + "f" * 5000, "r.md:2: a: a number beyond 64 bits"),
        ('a: "\\ud800"', "r.md:2: a: half a character"),
        ('a: {"\\ud800": 1}', "half a character"),
        ("- a", "r.md:2: the front matter has no keys"),
        ("a: " + "x" * 70_000, "r.md:1: the front matter is longer than 65,536"),
    ],
)
def test_what_is_not_plain_and_said_once_is_refused_with_its_line(head: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        front_matter.split(f"---\n{head}\n---\nbody", name="r.md")
    assert "\n" not in str(caught.value).replace("\ud800", "")


@pytest.mark.parametrize("text", ["", "model: x", " ---\na: 1\n---\n", "----\n"])
def test_a_file_without_front_matter_is_told_how_to_get_some(text: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.md:1: no front matter; begin the file"):
        front_matter.split(text, name="r.md")


def test_front_matter_has_to_end() -> None:
    with pytest.raises(RecipeError, match="never ends"):
        front_matter.split("---\na: 1\nprompt", name="r.md")


@given(st.text(alphabet=st.sampled_from(" \n\t:-[]{}&*!|>'\"#%@`?,.~ab01_=\u00e9"), max_size=60))
def test_any_head_gives_values_or_a_recipe_error(head: str) -> None:
    with contextlib.suppress(RecipeError):
        found = front_matter.split(f"---\n{head}\n---\nbody", name="r.md")
        assert all(isinstance(key, str) for key in found.values)
