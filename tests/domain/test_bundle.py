"""Several texts as one document."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bundle import HEAD_ROOM, ROOM, bundle, fenced
from shared.domain.names import escaped

TEXTS = st.text(alphabet="`a \n", max_size=200)


def test_each_text_stands_below_its_name_and_between_fences() -> None:
    assert bundle("r.zip", [("README.md", "hi"), ("a.py", "x\n")], note="Left out: 2 links.") == (
        "# r.zip\n\n- README.md (2 characters)\n- a.py (2 characters)\n\nLeft out: 2 links.\n\n"
        "## README.md\n\n```\nhi\n```\n\n## a.py\n\n```\nx\n```\n"
    )


@given(TEXTS)
def test_a_text_does_not_close_its_own_fence(text: str) -> None:
    lines = fenced("n", text).split("\n")
    fence = lines[2]
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    if longest < 30:
        assert [line for line in lines if line.startswith(fence)] == [fence, fence]


@given(st.lists(st.tuples(st.text(max_size=20), TEXTS), max_size=10))
def test_it_is_never_longer_than_it_is_counted_as(parts: list[tuple[str, str]]) -> None:
    counted = HEAD_ROOM + sum(len(text) + 2 * len(escaped(name)) + ROOM for name, text in parts)
    assert len(bundle("title", parts)) <= counted


def test_fences_of_a_text_of_fences_stay_within_what_is_counted() -> None:
    text = "`" * 100_000
    assert len(fenced("n", text)) <= len(text) + 2 + ROOM


def test_a_name_stays_on_its_line() -> None:
    assert fenced("a\n## b", "x").startswith("## a\\n## b\n\n```\n")
