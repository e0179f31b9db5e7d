from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import given

from shared.domain.sample import MOST_KINDS, Kind, Sampling, kind_of, shown

KINDS = st.builds(Kind, st.sampled_from(["", "md", "pdf", "csv"]), st.sampled_from(["", "a", "b"]))
DOCUMENTS = st.lists(st.tuples(KINDS, st.integers(0, 10**9)), max_size=60)


def endings(documents: list[tuple[Kind, int]], places: frozenset[int]) -> Counter[str]:
    return Counter(documents[place][0].ending for place in places)


@given(DOCUMENTS, st.integers(1, 80))
def test_it_is_as_many_as_asked_for_and_there_are_the_same_each_time(
    documents: list[tuple[Kind, int]], most: int
) -> None:
    chosen = shown(documents).chosen(most)
    assert len(chosen) == min(most, len(documents))
    assert chosen <= set(range(len(documents)))
    assert shown(documents).chosen(most) == chosen


@given(DOCUMENTS, st.integers(1, 80))
def test_no_ending_is_left_out_while_there_is_room(
    documents: list[tuple[Kind, int]], most: int
) -> None:
    all_endings = {kind.ending for kind, _ in documents}
    found = endings(documents, shown(documents).chosen(most))
    assert len(found) == min(len(all_endings), most) or len(found) == len(all_endings)


@given(st.integers(8, 60), st.integers(2, 8))
def test_within_a_kind_all_sizes_are_met(count: int, most: int) -> None:
    kind = Kind("md", "")
    sizes = [(7 * n) % count for n in range(count)] if count % 7 else list(range(count))
    chosen = shown((kind, size) for size in sizes).chosen(most)
    ranks = sorted(sorted(sizes).index(sizes[place]) for place in chosen)
    for part, rank in enumerate(ranks):
        assert part * count // most <= rank < -(-(part + 1) * count // most)


def test_kinds_share_by_how_many_they_have() -> None:
    documents = [(Kind("md", ""), n) for n in range(70)] + [(Kind("csv", ""), n) for n in range(30)]
    found = endings(documents, shown(documents).chosen(10))
    assert found == {"md": 7, "csv": 3}


def test_groups_count_as_long_as_there_is_room_for_sizes() -> None:
    documents = [(Kind("md", f"g{n // 100}"), n) for n in range(400)]
    few = {documents[place][0].group for place in shown(documents).chosen(8)}
    assert few == {"g0", "g1", "g2", "g3"}
    many = [(Kind("md", f"g{n}"), 1 if n else 10**6) for n in range(400)]
    assert len(shown(many).chosen(8)) == 8


def test_any_number_of_kinds_takes_bounded_work() -> None:
    sampling = Sampling()
    for n in range(3 * MOST_KINDS):
        sampling.show(Kind(f"e{n}", ""), n)
    assert len(sampling.chosen(500)) == 500
    assert (sampling.documents, sampling.bytes) == (3000, sum(range(3000)))


@pytest.mark.parametrize(
    ("path", "is_row", "ending"),
    [
        ("a/b.MD", False, "md"),
        ("a.b/README", False, ""),
        ("x.tar.gz", False, "gz"),
        ("id.1", True, ""),
    ],
)
def test_rows_are_of_one_kind_and_files_are_told_by_their_ending(
    path: str, is_row: bool, ending: str
) -> None:
    assert kind_of(path, is_row=is_row, group="g") == Kind(ending, "g")
