import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain.batch import BatchStatus
from shared.domain.catalog import Usage
from shared.domain.document import DocumentStatus, Failure
from shared.domain.ids import BatchId, JobName
from shared.domain.summary import Summary, render_summary, summarize
from shared.domain.totals import Totals
from tests.domain.test_batch import NOW, batch

TOTALS = Totals(
    reported=2,
    failed=1,
    usage=Usage(input_tokens=100, output_tokens=10),
    cost=Decimal("0.5"),
    cost_without_batches=Decimal(1),
)
COUNTS = {
    "x": {DocumentStatus.REPORTED: 2, DocumentStatus.FAILED: 1},
    "y": {DocumentStatus.REPORTED: 2},
    "z": {DocumentStatus.FAILED: 1},
}


def summary(*, live: bool = False) -> Summary:
    done = {"totals": TOTALS, "collected_at": NOW + timedelta(minutes=5)}
    batches = [
        batch(BatchStatus.COLLECTED, id=BatchId("a" * 12), group="x", **done),
        batch(BatchStatus.COLLECTED, id=BatchId("b" * 12), group="y", **done),
    ]
    if live:
        batches.append(batch(BatchStatus.IN_PROGRESS, id=BatchId("c" * 12), group="y"))
    return summarize(
        job=JobName("legal"),
        documents=COUNTS,
        batches=batches,
        now=datetime(2026, 11, 25, tzinfo=UTC),
    )


def test_a_summary_adds_up_its_batches_and_their_groups() -> None:
    found = summary()
    assert found.totals == TOTALS + TOTALS
    assert {name: part.totals for name, part in found.groups.items()} == {
        "x": TOTALS,
        "y": TOTALS,
        "z": Totals(),
    }
    assert {name: part.documents for name, part in found.groups.items()} == COUNTS
    assert found.totals.saved == Decimal(1)
    assert (found.total, found.open) == (6, 0)


@pytest.mark.parametrize(
    ("failure", "unpriced"), [("results_gone", 1), ("batch_not_found", 1), ("permission_error", 0)]
)
def test_what_may_have_been_billed_is_told(failure: str, unpriced: int) -> None:
    lost = batch(BatchStatus.FAILED, failure=Failure(type=failure, message="…"), group="x", size=1)
    found = summarize(
        job=JobName("legal"),
        documents=COUNTS,
        batches=[lost],
        now=datetime(2026, 11, 25, tzinfo=UTC),
    )
    assert found.totals.unpriced == unpriced
    assert found.groups["x"].totals.unpriced == unpriced


def test_the_time_ends_with_the_last_result_or_goes_on() -> None:
    assert summary().elapsed == timedelta(minutes=5)
    assert summary(live=True).elapsed == datetime(2026, 11, 25, tzinfo=UTC) - NOW


def test_the_days_between_two_runs_are_no_time_spent() -> None:
    later = NOW + timedelta(days=3)
    runs = [
        batch(BatchStatus.COLLECTED, planned_at=start, collected_at=start + timedelta(minutes=took))
        for start, took in [(NOW, 5), (NOW + timedelta(minutes=4), 3), (later, 2)]
    ]
    found = summarize(job=JobName("legal"), documents={}, batches=runs, now=later)
    assert found.elapsed == timedelta(minutes=9)
    assert found.finished_at == later + timedelta(minutes=2)


def test_nothing_is_finished_as_long_as_something_is_open() -> None:
    assert summary().finished_at == NOW + timedelta(minutes=5)
    assert summary(live=True).finished_at is None
    done = batch(BatchStatus.COLLECTED, collected_at=NOW)
    for status in (DocumentStatus.WAITING, DocumentStatus.IN_BATCH):
        counts = {"x": {DocumentStatus.REPORTED: 2}, "y": {status: 1}}
        found = summarize(job=JobName("legal"), documents=counts, batches=[done], now=NOW)
        assert found.finished_at is None
        assert json.loads(render_summary(found))["finished_at"] is None


def test_the_file_holds_exact_amounts_both_prices_and_every_batch() -> None:
    found = json.loads(render_summary(summary(live=True)), parse_float=Decimal)
    assert found["documents"]["total"] == 6
    assert found["cost_usd"] == Decimal(1)
    assert found["cost_without_batches_usd"] == Decimal(2)
    assert found["saved_usd"] == Decimal(1)
    assert found["groups"]["x"]["cost_usd"] == Decimal("0.5")
    assert found["groups"]["z"]["documents"]["failed"] == 1
    assert [b["status"] for b in found["batches"]] == ["collected", "collected", "in_progress"]


def test_a_job_without_batches_has_a_summary_too() -> None:
    empty = summarize(job=JobName("legal"), documents={}, batches=[], now=NOW)
    found = json.loads(render_summary(empty))
    assert (found["documents"]["total"], found["elapsed_s"], found["cost_usd"]) == (0, 0, 0)
