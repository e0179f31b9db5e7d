"""An hour of uploads in virtual time, a fiftieth of what `make load` simulates."""

from contextlib import ExitStack

import pytest

from tests.faults.scratch import scratch
from tests.load.__main__ import table
from tests.load.hour import Hour, Quotas
from tests.load.places import Quota

_DOCUMENTS, _WEIGHT = 2_000, 50
"""100,000 uploads: a tenth, with quotas that are short for that. A heavier weight would claim whole
batches in one step, which a time-out undoes whole."""

_MORE = 250
"""The weight that one intake, which takes 70 documents a second, is too slow for."""

SHORT = {
    "one intake": Quotas(intake_concurrency=1),
    "a slow table": Quotas(table_writes=40, partition_writes=40),
    "a short queue": Quotas(provider_queue=20_000, batch_requests=5_000),
}


def lived(quotas: Quotas, *, weight: int = _WEIGHT) -> Hour:
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        hour = Hour(documents=_DOCUMENTS, folder=folder, weight=weight, quotas=quotas)
        stack.callback(hour.store.close)
        hour.run()
        print(table("an hour", hour))  # noqa: T201 - shown when it fails, and by -s
        hour.check()
    return hour


@pytest.mark.parametrize("name", SHORT)
def test_whatever_is_short_everything_is_reported_and_sent_once(name: str) -> None:
    hour = lived(SHORT[name], weight=_MORE if name == "one intake" else _WEIGHT)
    if name == "a slow table":
        assert hour.ended_badly, "nothing was throttled"
    if name == "a short queue":
        assert hour.events["submitting_paused"], "the provider's queue was never full"
    if name == "one intake":
        assert hour.backlog * _MORE > 10_000, "nothing had to wait"


def test_a_tenth_of_a_million_waits_for_nothing() -> None:
    hour = lived(Quotas())
    assert not hour.ended_badly
    assert hour.backlog * _WEIGHT < 1_000


def test_a_quota_gives_no_more_than_its_rate_to_whoever_asks_in_whatever_order() -> None:
    quota = Quota(100)
    assert quota.take(100, 10.0) == 10.0
    assert quota.take(250, 10.5) == 13.5
    assert quota.take(100, 9.0) == 9.0
    assert quota.peak == 100
