import random

import pytest

from shared.domain.page_ranges import page_ends


@pytest.mark.parametrize(
    ("tokens", "pages", "most", "ends"),
    [
        ([10] * 5, 9, 100, [5]),
        ([10] * 6, 3, 1_000, [3, 6]),
        ([10] * 601, 600, 10_000, [301, 601]),
        ([10] * 7, 9, 40, [4, 7]),
        ([10, 500, 10], 9, 100, [1, 2, 3]),
        ([10, 10, 90, 10], 9, 100, [2, 4]),
        ([7], 1, 1, [1]),
    ],
)
def test_ranges_are_few_and_about_evenly_filled(
    tokens: list[int], pages: int, most: int, ends: list[int]
) -> None:
    assert page_ends(tokens, pages=pages, most=most) == ends


def test_every_page_is_in_one_range_that_fits() -> None:
    chance = random.Random(7)
    for _ in range(300):
        tokens = [chance.choice((1, 50, 400)) for _ in range(chance.randint(1, 60))]
        pages, most = chance.randint(1, 20), chance.randint(1, 900)
        ends = page_ends(tokens, pages=pages, most=most)
        assert ends == sorted(set(ends))
        assert ends[-1] == len(tokens)
        for start, end in zip([0, *ends], ends, strict=False):
            assert end - start <= pages
            assert end - start == 1 or sum(tokens[start:end]) <= most
