from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import given

from shared.domain.projection import FEW, Observed, project, project_all, quality

AMOUNTS = st.integers(0, 10**6).map(lambda n: Decimal(n).scaleb(-4))
OBSERVED = st.lists(
    st.builds(Observed, size=st.integers(0, 10**6), input_cost=AMOUNTS, output_cost=AMOUNTS),
    min_size=1,
    max_size=12,
)


def seen(size: int, into: str, out: str, **more: object) -> Observed:
    return Observed(
        size=size,
        input_cost=Decimal(into),
        output_cost=Decimal(out),
        **more,  # type: ignore[arg-type]
    )


def test_what_goes_in_grows_with_the_bytes_and_what_comes_out_with_the_documents() -> None:
    found = project([seen(900, "1", "2")] * FEW, documents=10, size=29_000, prompt=100)
    assert found is not None
    # 30 times the bytes of one, prompts included; 10 times its answer.
    assert found.likely == found.low == found.high == Decimal(50)
    assert found.resampled


@given(OBSERVED, st.integers(1, 10**4), st.integers(0, 10**9), st.integers(0, 10**4))
def test_the_range_holds_the_projection_and_is_the_same_each_time(
    observed: list[Observed], documents: int, size: int, prompt: int
) -> None:
    found = project(observed, documents=documents, size=size, prompt=prompt)
    assert found is not None
    assert Decimal(0) <= found.low <= found.likely <= found.high
    assert found.resampled == (len(observed) >= FEW)
    assert project(observed, documents=documents, size=size, prompt=prompt) == found


def test_documents_that_differ_widen_the_range() -> None:
    alike = project([seen(100, "1", "1")] * 10, documents=100, size=10_000, prompt=0)
    mixed = [seen(100, "1", "0.1")] * 5 + [seen(100, "1", "1.9")] * 5
    apart = project(mixed, documents=100, size=10_000, prompt=0)
    assert alike is not None
    assert apart is not None
    assert alike.likely == apart.likely == Decimal(200)
    assert apart.low < Decimal(170)
    assert apart.high > Decimal(230)


def test_few_documents_give_the_range_of_the_extremes() -> None:
    found = project([seen(100, "1", "1"), seen(100, "1", "3")], documents=10, size=1000, prompt=0)
    assert found is not None
    assert (found.low, found.likely, found.high) == (Decimal(20), Decimal(30), Decimal(40))


def test_of_all_documents_those_observed_cost_what_they_did() -> None:
    observed = [seen(100, "1", "1"), seen(100, "1", "3")]
    found = project_all(observed, documents=10, size=1000, prompt=0)
    assert found is not None
    assert (found.low, found.likely, found.high) == (Decimal(22), Decimal(30), Decimal(38))
    nothing_left = project_all(observed, documents=2, size=200, prompt=0)
    assert nothing_left is not None
    assert nothing_left.low == nothing_left.likely == nothing_left.high == Decimal(6)
    unknown = Observed(size=1, input_cost=None, output_cost=None)
    assert project_all([unknown], documents=2, size=2, prompt=0) is None


@given(OBSERVED, st.integers(0, 10**4), st.integers(0, 10**9), st.integers(0, 10**4))
def test_all_documents_cost_no_less_than_was_paid_already(
    observed: list[Observed], documents: int, size: int, prompt: int
) -> None:
    found = project_all(observed, documents=documents, size=size, prompt=prompt)
    paid = quality(observed).cost
    assert found is not None
    assert paid is not None
    assert paid <= found.low <= found.likely <= found.high


def test_without_prices_or_documents_nothing_is_projected() -> None:
    unknown = Observed(size=1, input_cost=None, output_cost=None)
    assert project([], documents=1, size=1, prompt=1) is None
    assert project([seen(1, "1", "1"), unknown], documents=1, size=1, prompt=1) is None
    nothing = project([seen(1, "1", "1")], documents=0, size=0, prompt=1)
    assert nothing is not None
    assert nothing.high == 0


def test_quality_is_counted() -> None:
    found = quality(
        [
            seen(1, "1", "2", output_tokens=100, input_tokens=5),
            seen(1, "0", "0", output_tokens=300, truncated=True),
            seen(1, "0", "1", output_tokens=900, failure="refusal"),
            Observed(size=1, failure="empty_document"),
        ]
    )
    assert (found.reported, found.truncated, found.report_tokens) == (2, 1, 200)
    assert found.failures == {"refusal": 1, "empty_document": 1}
    assert (found.input_tokens, found.output_tokens, found.cost) == (5, 1300, Decimal(4))
    assert quality([Observed(size=1, input_cost=None)]).cost is None
