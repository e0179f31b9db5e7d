from dataclasses import replace
from decimal import Decimal

import pytest

from shared.domain.published import NotASummary, read_summary
from shared.domain.summary import render_summary
from shared.domain.totals import Totals
from tests.domain.test_summary import summary


@pytest.mark.parametrize("live", [True, False])
def test_what_is_published_reads_back_as_it_was_but_for_the_batches(live: bool) -> None:
    before = summary(live=live)
    assert read_summary(render_summary(before)) == replace(before, batches=())


def test_an_unknown_price_stays_unknown() -> None:
    unpriced = replace(summary(), totals=Totals(reported=2, unpriced=2))
    found = read_summary(render_summary(unpriced)).totals
    assert (found.cost, found.unpriced) == (Decimal(0), 2)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"job": 1}', b'{"job": "x", "documents": {"waiting": "many"}}']
)
def test_anything_else_is_no_summary(content: bytes) -> None:
    with pytest.raises(NotASummary):
        read_summary(content)
