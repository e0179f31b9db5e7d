from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.domain.document import (
    READ_FAILURES,
    TRANSITIONS,
    Content,
    Document,
    DocumentEvent,
    DocumentStatus,
    Failure,
    RowPlace,
    Sighting,
    claimed,
    failed,
    released,
    reported,
    requeued,
    sighted,
    unchanged,
)
from shared.domain.ids import BatchId, JobName

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
JOB = JobName("legal")
BATCH = BatchId("k2m9x4q2w8ab")


def content(etag: str = "v1", **changes: object) -> Content:
    return replace(Content(source="in/a.md", etag=etag, size=10), **changes)


def seen(etag: str = "v1", failure: Failure | None = None, group: str = "") -> Sighting:
    return Sighting(path="a.md", group=group, content=content(etag), failure=failure)


def see(document: Document | None, sighting: Sighting, now: datetime = LATER) -> Document | None:
    return sighted(document, sighting, job=JOB, now=now)


def waiting() -> Document:
    document = see(None, seen(), NOW)
    assert document is not None
    return document


def in_batch() -> Document:
    return claimed(waiting(), BATCH, digest="d1")


def test_a_new_document_waits() -> None:
    assert waiting().status is DocumentStatus.WAITING
    assert waiting().since == NOW


def test_a_document_that_cannot_be_taken_fails_at_once() -> None:
    failure = Failure(type="invalid_name", message="…")
    document = see(None, seen(failure=failure))
    assert document is not None
    assert (document.status, document.failure) == (DocumentStatus.FAILED, failure)


@pytest.mark.parametrize(
    "document", [waiting(), in_batch(), reported(in_batch(), now=NOW)], ids=lambda d: d.status
)
def test_the_same_version_again_changes_nothing(document: Document) -> None:
    assert see(document, seen()) is None


def test_a_final_failure_is_not_undone_by_seeing_the_document_again() -> None:
    document = failed(waiting(), Failure(type="unsupported_type", message="…"), now=NOW)
    assert see(document, seen()) is None


@pytest.mark.parametrize("kind", sorted(READ_FAILURES))
def test_a_document_that_could_not_be_read_waits_again_once_it_is_seen(kind: str) -> None:
    document = failed(waiting(), Failure(type=kind, message="…"), now=NOW)
    again = see(document, seen())
    assert again is not None
    assert (again.status, again.failure) == (DocumentStatus.WAITING, None)


def test_changed_content_makes_a_reported_document_wait_again() -> None:
    again = see(reported(in_batch(), now=NOW), seen("v2"))
    assert again is not None
    assert (again.status, again.content.etag, again.reported_digest) == (
        DocumentStatus.WAITING,
        "v2",
        "d1",
    )


def test_a_newer_version_waits_until_the_batch_has_settled_the_older_one() -> None:
    both = see(in_batch(), seen("v2"))
    assert both is not None
    assert (both.status, both.content.etag) == (DocumentStatus.IN_BATCH, "v1")
    done = reported(both, now=LATER)
    assert (done.status, done.content.etag, done.batch) == (DocumentStatus.WAITING, "v2", None)
    assert done.reported_digest == "d1"


def test_a_newer_version_waits_in_the_group_it_was_seen_in() -> None:
    both = see(in_batch(), seen("v2", group="2026-02-01"))
    assert both is not None
    assert released(both, now=LATER).group == "2026-02-01"


def test_what_was_wrong_with_a_newer_version_is_told_once_the_older_is_settled() -> None:
    gone = Failure(type="unreadable", message="permission denied", retryable=True)
    both = see(in_batch(), seen("", failure=gone))
    assert both is not None
    done = reported(both, now=LATER)
    assert (done.status, done.failure, done.reported_digest) == (DocumentStatus.FAILED, gone, "d1")


def test_a_newer_version_that_is_taken_back_is_forgotten() -> None:
    both = see(in_batch(), seen("v2"))
    assert both is not None
    back = see(both, seen("v1"))
    assert back is not None
    assert back.newer is None


def test_a_failure_of_the_older_version_is_not_kept_for_the_newer() -> None:
    both = see(in_batch(), seen("v2"))
    assert both is not None
    done = failed(both, Failure(type="api_error", message="…", attempts=3), now=LATER)
    assert (done.status, done.failure, done.attempts) == (DocumentStatus.WAITING, None, 0)


def test_a_release_keeps_the_attempts_unless_the_try_counted() -> None:
    document = replace(in_batch(), attempts=1)
    assert released(document, now=NOW).attempts == 1
    assert released(document, now=NOW, attempts=2).attempts == 2


def test_a_retry_by_a_person_starts_the_attempts_anew() -> None:
    spent = failed(in_batch(), Failure(type="expired", message="…", attempts=3), now=NOW)
    again = requeued(spent, now=LATER)
    assert (again.status, again.attempts, again.failure) == (DocumentStatus.WAITING, 0, None)


def test_content_that_has_its_report_is_done_without_a_batch() -> None:
    touched = see(reported(in_batch(), now=NOW), seen("touched"))
    assert touched is not None
    assert unchanged(touched).status is DocumentStatus.REPORTED


def test_a_moved_row_is_found_at_its_new_place() -> None:
    place = RowPlace(manifest_etag="m1", line=3, offset=30, length=9)
    row = Sighting(path="a", group="", content=content("digest", row=place))
    document = see(None, row)
    assert document is not None
    moved = replace(
        row, content=content("digest", row=replace(place, manifest_etag="m2", offset=70))
    )
    after = see(document, moved)
    assert after is not None
    assert after.content.row == replace(place, manifest_etag="m2", offset=70)


def test_rows_are_packed_in_the_order_they_lie_in() -> None:
    def row(offset: int) -> str:
        return content(row=RowPlace(manifest_etag="m", line=1, offset=offset, length=1)).order

    assert row(9) < row(10) < row(1_000_000_000)


def test_every_status_leads_on_except_nothing_leads_from_in_batch_by_intake() -> None:
    legal = set(TRANSITIONS)
    for status, event in product(DocumentStatus, DocumentEvent):
        if status is DocumentStatus.IN_BATCH and event is DocumentEvent.CHANGED:
            assert (status, event) not in legal
    assert {status for status, _ in legal} == set(DocumentStatus)


@pytest.mark.parametrize("status", [DocumentStatus.IN_BATCH, DocumentStatus.REPORTED])
def test_only_what_waits_can_be_claimed(status: DocumentStatus) -> None:
    with pytest.raises(KeyError):
        claimed(replace(waiting(), status=status), BATCH, digest="d")


@given(st.lists(st.sampled_from(["v1", "v2", "v3", "claim", "report", "fail", "release"])))
def test_a_document_is_never_claimed_twice_and_ends_at_the_version_seen_last(
    steps: list[str],
) -> None:
    document = waiting()
    last = "v1"
    for step in steps:
        if step.startswith("v"):
            last = step
            document = see(document, seen(step)) or document
        elif step == "claim" and document.status is DocumentStatus.WAITING:
            assert document.batch is None
            document = claimed(document, BATCH, digest=document.content.etag)
        elif document.status is DocumentStatus.IN_BATCH:
            match step:
                case "report":
                    document = reported(document, now=NOW)
                case "fail":
                    document = failed(document, Failure(type="x", message="y"), now=NOW)
                case "release":
                    document = released(document, now=NOW)
        assert (document.batch is not None) == (document.status is DocumentStatus.IN_BATCH)
    assert document.latest.etag == last
