"""The API's JSON as the port's values: only what is used is decoded, the rest may change."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from shared.domain.batch import Counts
from shared.domain.ids import ProviderId
from shared.domain.policy import BATCH_LIFETIME
from shared.ports.batch_api import ProcessingStatus, ProviderBatch

PAGE_SIZE = 1000
"""The most batches a page may hold, from the Batches API reference."""

MAX_PAGES = 1000
"""Pages of one listing: a million batches. More is taken for a listing that goes in a circle."""


class Unusable(Exception):
    """An answer that can't be what the API means; the message is one line."""


class _Counts(msgspec.Struct):
    processing: int | None = None
    succeeded: int | None = None
    errored: int | None = None
    canceled: int | None = None
    expired: int | None = None


class _Batch(msgspec.Struct):
    id: str
    processing_status: str
    created_at: datetime
    request_counts: _Counts | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    results_url: str | None = None


class _Page(msgspec.Struct):
    data: list[_Batch]
    has_more: bool = False


_T = TypeVar("_T")

_batch = msgspec.json.Decoder(_Batch)
_page = msgspec.json.Decoder(_Page)


def decode_batch(content: bytes) -> ProviderBatch:
    """A batch object. Raises Unusable."""
    return _value(_decoded(_batch, content))


async def list_since(
    since: datetime, fetch: Callable[[ProviderId | None], Awaitable[bytes]]
) -> AsyncGenerator[ProviderBatch, None]:
    """All batches created at or after `since`, page by page; `fetch` gets one after an id.

    Raises Unusable for a listing that gets nowhere: one that stops too soon would say that a
    batch isn't there which is, and it would be paid for twice.
    """
    last: ProviderId | None = None
    seen: set[ProviderId] = set()
    for _ in range(MAX_PAGES):
        page = _decoded(_page, await fetch(last))
        for row in page.data:
            batch = _value(row)
            if batch.created_at < since:
                return
            yield batch
        if not page.has_more:
            return
        last = ProviderId(page.data[-1].id) if page.data else None
        if last is None or last in seen:
            raise Unusable("the list of batches says that there is more and doesn't go on")
        seen.add(last)
    raise Unusable(f"the list of batches has no end: {MAX_PAGES} pages read")


def _decoded(decoder: msgspec.json.Decoder[_T], content: bytes) -> _T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(f"the answer is not what the API gives: {error}") from error


def _value(row: _Batch) -> ProviderBatch:
    if not row.id:
        raise Unusable("the answer is not what the API gives: a batch without id")
    try:
        return _batch_of(row)
    except OverflowError as error:  # a time at either end of the calendar
        raise Unusable(f"the answer is not what the API gives: {error}") from error


def _batch_of(row: _Batch) -> ProviderBatch:
    counts = row.request_counts or _Counts()
    created_at = _aware(row.created_at)
    return ProviderBatch(
        id=ProviderId(row.id),
        processing_status=_status(row.processing_status),
        counts=Counts(
            processing=counts.processing or 0,
            succeeded=counts.succeeded or 0,
            errored=counts.errored or 0,
            canceled=counts.canceled or 0,
            expired=counts.expired or 0,
        ),
        created_at=created_at,
        expires_at=_aware(row.expires_at) if row.expires_at else created_at + BATCH_LIFETIME,
        ended_at=_aware(row.ended_at) if row.ended_at else None,
        results_url=row.results_url,
    )


def _status(word: str) -> ProcessingStatus:
    """A status that is new to docmill isn't the end: the batch is looked at again."""
    try:
        return ProcessingStatus(word)
    except ValueError:
        return ProcessingStatus.IN_PROGRESS


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
