"""Both tables of moves, over the whole product of status and event."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import TypeVar

import pytest
from msgspec.structs import replace

from shared.domain import batch as batches
from shared.domain import document as documents
from shared.domain.batch import Batch, BatchEvent, BatchStatus, IllegalTransition, after
from shared.domain.document import Content, Document, DocumentEvent, DocumentStatus, Failure
from shared.domain.ids import BatchId, JobName
from shared.domain.parts import Parts

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
S = TypeVar("S")
E = TypeVar("E")
BATCH = Batch(
    id=BatchId("k2m9x4q2w8ab"),
    job=JobName("legal"),
    group="",
    recipe="r",
    fingerprint="f",
    model="m",
    betas=(),
    status=BatchStatus.PLANNED,
    size=1,
    planned_at=NOW,
    next_at=NOW,
)
DOCUMENT = Document(
    job=JobName("legal"),
    path="a.md",
    group="",
    content=Content(source="a.md", etag="v1", size=1),
    status=DocumentStatus.WAITING,
    since=NOW,
)
MOVES: Mapping[DocumentEvent, Callable[[Document], Document]] = {
    DocumentEvent.CLAIMED: lambda d: documents.claimed(d, BATCH.id, digest="d"),
    DocumentEvent.SUCCEEDED: lambda d: documents.reported(d, now=NOW),
    DocumentEvent.FAILED: lambda d: documents.failed(d, Failure(type="x", message="y"), now=NOW),
    DocumentEvent.RELEASED: lambda d: documents.released(d, now=NOW),
    DocumentEvent.REQUEUED: lambda d: documents.requeued(d, now=NOW),
    DocumentEvent.UNCHANGED: documents.unchanged,
    DocumentEvent.SPLIT: lambda d: documents.split(d, Parts(digest="d", fingerprint="f")),
    DocumentEvent.ANSWERED: lambda d: documents.all_answered(d, now=NOW),
}
"""What makes a document move; only CHANGED is intake's, which decides by what it saw."""


def reached(start: S, moves: Mapping[tuple[S, E], S]) -> set[S]:
    found = {start}
    while more := {to for (status, _), to in moves.items() if status in found} - found:
        found |= more
    return found


@pytest.mark.parametrize(("status", "event"), list(product(BatchStatus, BatchEvent)))
def test_an_illegal_move_of_a_batch_raises_and_leaves_it_alone(
    status: BatchStatus, event: BatchEvent
) -> None:
    batch = replace(BATCH, status=status)
    if (status, event) in batches.TRANSITIONS:
        moved = after(batch, event, note="moved")
        assert moved == replace(batch, status=batches.TRANSITIONS[status, event], note="moved")
    else:
        with pytest.raises(IllegalTransition):
            after(batch, event, note="moved")
    assert batch == replace(BATCH, status=status)


@pytest.mark.parametrize("status", sorted(BatchStatus))
def test_a_batch_ends_and_what_has_ended_stays(status: BatchStatus) -> None:
    found = reached(status, batches.TRANSITIONS)
    assert found & batches.TERMINAL
    if status in batches.TERMINAL:
        assert found == {status}


def test_every_status_of_a_batch_can_be_come_by() -> None:
    assert reached(BatchStatus.PLANNED, batches.TRANSITIONS) == set(BatchStatus)


@pytest.mark.parametrize(("status", "event"), list(product(DocumentStatus, MOVES)))
def test_a_move_of_a_document_is_made_by_the_table_or_not_at_all(
    status: DocumentStatus, event: DocumentEvent
) -> None:
    document = replace(DOCUMENT, status=status)
    if (status, event) in documents.TRANSITIONS:
        assert MOVES[event](document).status is documents.TRANSITIONS[status, event]
    else:
        with pytest.raises(KeyError):
            MOVES[event](document)
    assert document == replace(DOCUMENT, status=status)


def test_no_event_of_documents_is_left_untried() -> None:
    assert set(DocumentEvent) == {*MOVES, DocumentEvent.CHANGED}


@pytest.mark.parametrize("status", sorted(DocumentStatus))
def test_a_document_can_always_end_as_a_report_or_a_failure(status: DocumentStatus) -> None:
    found = reached(status, documents.TRANSITIONS)
    assert {DocumentStatus.REPORTED, DocumentStatus.FAILED} <= found


def test_what_has_ended_goes_on_only_by_a_new_version_or_by_a_person() -> None:
    ended = (DocumentStatus.REPORTED, DocumentStatus.FAILED)
    onward = {
        event
        for (status, event), to in documents.TRANSITIONS.items()
        if status in ended and to not in ended
    }
    assert onward == {DocumentEvent.CHANGED, DocumentEvent.REQUEUED}
