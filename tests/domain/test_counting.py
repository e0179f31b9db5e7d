import hypothesis.strategies as st
import pytest
from hypothesis import given

from shared.domain.counting import Counted, InputTokens, counted_params, scaled

SAMPLES = st.lists(
    st.builds(Counted, guessed=st.integers(1, 10**7), tokens=st.integers(1, 10**7)), min_size=1
)


def test_the_guess_of_the_rest_is_scaled_between_the_lightest_and_the_densest() -> None:
    sample = [Counted(guessed=100, tokens=20), Counted(guessed=300, tokens=120)]
    found = scaled(sample, requests=10, guessed=1000, model="m")
    assert found == InputTokens(tokens=350, low=260, high=380, counted=2, of=10, model="m")


@given(SAMPLES)
def test_what_was_counted_whole_is_exact(sample: list[Counted]) -> None:
    guessed = sum(each.guessed for each in sample) + 7
    found = scaled(sample, requests=len(sample), guessed=guessed, model="m")
    assert found.low == found.tokens == found.high == sum(each.tokens for each in sample)


@given(SAMPLES, st.integers(0, 10**6), st.integers(0, 10**9))
def test_the_range_holds_the_estimate(sample: list[Counted], more: int, all_of_it: int) -> None:
    found = scaled(sample, requests=len(sample) + more, guessed=all_of_it, model="m")
    assert found.low - 1 <= found.tokens <= found.high + 1  # each is rounded


@pytest.mark.parametrize("name", ["max_tokens", "inference_geo", "metadata", "stop_sequences"])
def test_what_the_call_does_not_take_is_left_out(name: str) -> None:
    params = {"model": "m", "messages": [], "system": "s", "tools": [], "output_config": {}}
    assert counted_params({**params, name: 1}) == params
