"""Answers about batches: understood, or one error that is told."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.provider_batches import Unusable, decode_batch

BATCH: dict[str, Any] = {
    "id": "msgbatch_01X",
    "processing_status": "in_progress",
    "created_at": "2026-11-24T10:00:00Z",
    "expires_at": "2026-11-25T10:00:00Z",
    "request_counts": {"processing": 2, "succeeded": 0},
    "results_url": None,
}


def read(**odd: object) -> None:
    decode_batch(json.dumps(BATCH | odd).encode())


@pytest.mark.parametrize(
    "odd",
    [
        {"id": ""},
        {"id": None},
        {"created_at": "9999-12-31T23:59:59Z", "expires_at": None},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"ended_at": "9999-12-31T23:59:59-14:00"},
        {"created_at": 5},
        {"request_counts": {"succeeded": 1.5}},
        {"processing_status": None},
    ],
)
def test_an_answer_of_another_shape_is_told_in_one_line(odd: dict[str, object]) -> None:
    with pytest.raises(Unusable) as caught:
        read(**odd)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "data", [b"", b"null", b"\xff", b"[" * 100_000, b'{"id":"x","y":' + b"[" * 100_000]
)
def test_what_is_no_answer_at_all_crashes_nothing(data: bytes) -> None:
    with pytest.raises(Unusable):
        decode_batch(data)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)


@given(st.dictionaries(st.sampled_from([*BATCH, "ended_at"]), SCALARS | st.datetimes().map(str)))
@settings(max_examples=300)
def test_any_values_are_a_batch_or_unusable(odd: dict[str, object]) -> None:
    try:
        read(**odd)
    except Unusable:
        return
