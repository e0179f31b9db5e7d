"""Many keys are compared in flat memory, and exactly those that are missing are sent."""

from pathlib import Path

import pytest

from tests.bench import listings

KEYS = 6000


@pytest.mark.parametrize("phase", listings.PHASES)
def test_what_is_missing_among_many_is_sent_and_nothing_else(phase: str, tmp_path: Path) -> None:
    listings.write_names(tmp_path, KEYS)
    found = listings.in_process(phase, KEYS, str(tmp_path))
    assert listings.wrong(KEYS, found) == []
    assert (found["sent"], found["there"]) == (6, KEYS - 6)


def test_a_faulty_measurement_is_told() -> None:
    right = {"sent": 6, "calls": 6, "there": KEYS - 6, "peak": 90_000_000}
    assert listings.wrong(KEYS, right) == []
    assert "7 sent (6 keys)" in listings.wrong(KEYS, right | {"calls": 7})[0]
    assert "101 MB at the peak" in listings.wrong(KEYS, right | {"peak": 101_000_000})[0]
