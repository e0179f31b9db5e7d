from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from shared.domain.group import Group, Load, is_due, rested
from shared.domain.ids import JobName

NOW = datetime(2026, 11, 24, tzinfo=UTC)
GROUP = Group(job=JobName("legal"), name="2026", since=NOW, touched=NOW)
WAIT = timedelta(minutes=15)


def test_a_group_is_due_once_its_oldest_document_has_waited_long_enough() -> None:
    assert not is_due(GROUP, max_wait=WAIT, now=NOW + WAIT - timedelta(seconds=1))
    assert is_due(GROUP, max_wait=WAIT, now=NOW + WAIT)


def test_a_group_that_was_declared_ready_is_due_at_once() -> None:
    assert is_due(replace(GROUP, ready=True), max_wait=WAIT, now=NOW)


@pytest.mark.parametrize(
    ("load", "full"),
    [
        (Load(documents=99_999, bytes=255_999_999), False),
        (Load(documents=100_000, bytes=0), True),
        (Load(documents=1, bytes=256_000_000), True),
    ],
)
def test_a_group_is_full_by_requests_or_by_bytes(load: Load, full: bool) -> None:
    assert load.fills_a_batch() is full


def test_a_ready_group_rests_once_it_is_drained_and_what_comes_next_waits_anew() -> None:
    ready, lag = replace(GROUP, ready=True), timedelta(seconds=60)
    once = rested(ready, now=NOW, lag=lag)
    assert is_due(once, max_wait=WAIT, now=NOW)
    assert rested(once, now=NOW + lag / 2, lag=lag).ready
    later = rested(once, now=NOW + lag, lag=lag)
    assert not is_due(later, max_wait=WAIT, now=NOW + lag)
    assert is_due(later, max_wait=WAIT, now=NOW + lag + WAIT)
