"""The accounts of a day: what must add up, and a table of it."""

import json
import math
from collections import Counter
from datetime import timedelta
from decimal import Decimal

from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.totals import Totals
from tests.faults.day import JOB, Day
from tests.faults.day_world import number_of

_MOST_READS = 8
_SOONEST_S, _AGE_SHARE, _SLOW_AFTER_S, _SLOWDOWN = 2.0, 0.25, 3600.0, 5
"""As shared/domain/polling.py has them."""


def most_looks(life: timedelta, interval: timedelta) -> int:
    """How often a batch that ends at this age may be looked at, when no look fails.

    Three stretches: every 2 seconds until a quarter of its age is more; then each look makes it a
    quarter older, until that is the interval; then one per interval, and after an hour one in five.
    One more finds it ended, and each stretch may begin with one that the last had still planned.
    """
    age, every = life.total_seconds(), interval.total_seconds()
    first = math.ceil(min(age, _SOONEST_S / _AGE_SHARE) / _SOONEST_S)
    grown = min(age, every / _AGE_SHARE) / (_SOONEST_S / _AGE_SHARE)
    growing = math.ceil(math.log(max(grown, 1.0)) / math.log(1 + _AGE_SHARE))
    steady = math.ceil(max(min(age, _SLOW_AFTER_S) - every / _AGE_SHARE, 0.0) / every)
    slow = math.ceil(max(age - _SLOW_AFTER_S, 0.0) / (every * _SLOWDOWN))
    return first + growing + steady + slow + 4


def check(day: Day) -> None:
    """Everything is accounted for. Raises AssertionError."""
    _check_documents(day)
    _check_money(day)
    _check_looks(day)


def _check_documents(day: Day) -> None:
    statuses: Counter[DocumentStatus] = Counter()
    for document in day.store.all_documents(JOB):
        number = number_of(document.path)
        statuses[document.status] += 1
        paid, written = day.books.paid[number], day.reports.written[number]
        assert paid <= 1, f"{document.path} is paid for {paid} times"
        if document.status is DocumentStatus.REPORTED:
            assert paid == 1, f"{document.path} is reported and not paid for"
            assert written >= 1, f"{document.path} is reported and has no report"
        else:
            assert document.failure is not None, f"{document.path} is {document.status}"
            assert written == 0, f"{document.path} failed and has a report"
    assert set(statuses) <= {DocumentStatus.REPORTED, DocumentStatus.FAILED}, statuses
    assert sum(statuses.values()) == day.documents, statuses
    told = json.loads(day.reports.published[f"{JOB}/summary.json"])["documents"]
    assert told["reported"] == statuses[DocumentStatus.REPORTED]
    assert told["failed"] == statuses[DocumentStatus.FAILED]
    lines = day.reports.published[f"{JOB}/failures.jsonl"].splitlines()
    assert len(lines) == statuses[DocumentStatus.FAILED]


def _check_money(day: Day) -> None:
    batches = list(day.store.batches(JOB))
    known = {b.provider_id for b in batches if b.status is BatchStatus.COLLECTED}
    assert {b.status for b in batches} <= {BatchStatus.COLLECTED, BatchStatus.RELEASED}
    assert known == set(day.simulator.batches), "a batch that the provider took is nobody's"
    total = totals(day)
    requests = sum(b.requests for b in batches if b.status is BatchStatus.COLLECTED)
    assert requests == day.books.requests == sum(day.books.taken)
    assert total.reported + total.failed + total.retried == requests
    assert total.reported == sum(1 for n in day.reports.written if n)
    assert total.cost == day.books.cost, (total.cost, day.books.cost)
    told = json.loads(day.reports.published[f"{JOB}/summary.json"])
    assert Decimal(str(told["cost_usd"])) == total.cost


def _check_looks(day: Day) -> None:
    interval = day.deps.policy.poll_interval
    for provider_id, life in day.lives().items():
        looks, failed = day.api.looks[provider_id], day.api.failed_looks[provider_id]
        most = most_looks(life, interval)
        assert looks - failed <= most, f"{provider_id}, {life} old, was looked at {looks} times"
        assert failed <= 0.2 * most + 5, f"{provider_id}: {failed} of {looks} looks failed"
        assert 1 <= day.api.reads[provider_id] <= _MOST_READS, f"{provider_id} was read too often"


def totals(day: Day) -> Totals:
    """Of all batches."""
    return sum((b.totals for b in day.store.batches(JOB) if b.totals is not None), Totals())


def table(day: Day) -> str:
    """What a day came to."""
    total, looks = totals(day), day.api.looks.values()
    batches = Counter(b.status.value for b in day.store.batches(JOB))
    made = max(len(day.simulator.batches), 1)
    reads = sum(day.api.reads.values())
    took, each = day.minutes / 60, day.books.requests / made
    outcomes = f"{total.reported:,} reported, {total.failed:,} failed, {total.retried:,} retried"
    lines = [
        f"{day.documents:,} documents in {day.groups} groups",
        f"settled after {took:.1f} h of its clock, in {day.seconds:.1f} s",
        f"batches: {made:,} taken ({_shown(batches)}), {each:.1f} requests each",
        f"requests: {day.books.requests:,}; {outcomes}; ${total.cost:,.4f}",
        f"looks: {sum(looks):,}, {sum(looks) / made:.1f} per batch, {max(looks)} at most",
        f"results read {reads:,} times, {reads / made:.2f} per batch; {day.api.listings} listings",
        "steps: " + _shown(day.steps),
        "faults: " + _shown(day.trouble.counts),
        "escaped, to be tried again: " + _shown(day.escaped),
        "calls: " + ", ".join(f"{n:,} {c}" for c, n in sorted(day.simulator.calls.items())),
    ]
    return "\n".join(lines)


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
