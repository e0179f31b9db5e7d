from datetime import UTC, datetime
from itertools import product

import pytest

from shared.domain.batch import (
    LIVE,
    TERMINAL,
    TRANSITIONS,
    Batch,
    BatchEvent,
    BatchStatus,
    Counts,
    IllegalTransition,
    after,
)
from shared.domain.bitmap import Bitmap
from shared.domain.ids import BatchId, JobName

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def batch(status: BatchStatus = BatchStatus.PLANNED, **changes: object) -> Batch:
    fields: dict[str, object] = {
        "id": BatchId("k2m9x4q2w8ab"),
        "job": JobName("legal"),
        "group": "2026",
        "recipe": "r",
        "fingerprint": "f",
        "model": "claude-opus-4-6",
        "betas": (),
        "status": status,
        "size": 10,
        "planned_at": NOW,
        "next_at": NOW,
    }
    return Batch(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "event"), list(product(BatchStatus, BatchEvent)))
def test_a_move_is_made_by_the_table_or_not_at_all(status: BatchStatus, event: BatchEvent) -> None:
    if (status, event) in TRANSITIONS:
        assert after(batch(status), event).status is TRANSITIONS[status, event]
    else:
        with pytest.raises(IllegalTransition, match=status):
            after(batch(status), event)


def test_terminal_statuses_have_no_exit() -> None:
    assert not {status for status, _ in TRANSITIONS} & TERMINAL


@pytest.mark.parametrize("start", sorted(LIVE))
def test_every_live_status_reaches_a_terminal_one(start: BatchStatus) -> None:
    reached = {start}
    while True:
        more = {to for (status, _), to in TRANSITIONS.items() if status in reached} - reached
        if not more:
            break
        reached |= more
    assert reached & TERMINAL


def test_nothing_gets_in_progress_without_its_intent_saved_first() -> None:
    ways_in = {status for (status, _), to in TRANSITIONS.items() if to is BatchStatus.IN_PROGRESS}
    assert ways_in == {BatchStatus.SUBMITTING, BatchStatus.IN_DOUBT, BatchStatus.IN_PROGRESS}


def test_only_what_was_certainly_not_created_is_released() -> None:
    ways_in = {
        (status, event)
        for (status, event), to in TRANSITIONS.items()
        if to is BatchStatus.RELEASING and status is not BatchStatus.RELEASING
    }
    assert ways_in == {
        (BatchStatus.PLANNED, BatchEvent.ABANDONED),
        (BatchStatus.IN_DOUBT, BatchEvent.DISPROVED),
        (BatchStatus.SUBMITTING, BatchEvent.BLAMED),
        (BatchStatus.SUBMITTING, BatchEvent.OUTSIZED),
    }


def test_requests_are_the_list_without_what_was_left_out() -> None:
    out = Bitmap()
    out.add(3)
    out.add(7)
    assert batch(excluded=bytes(out)).requests == 8
    assert [batch(excluded=bytes(out)).place_of_request(n) for n in (0, 3, 7, 8)] == [0, 4, 9, None]


def test_counts_add_up_to_the_whole_batch() -> None:
    assert Counts(processing=1, succeeded=2, errored=3, canceled=4, expired=5).total == 15
