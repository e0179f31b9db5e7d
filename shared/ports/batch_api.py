"""The Message Batches API as the engine needs it, and errors by what the caller does next.

Adapters: `shared.adapters.anthropic_api` (the SDK) and `shared.adapters.simulator`.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from shared.domain.batch import Counts
from shared.domain.ids import ProviderId
from shared.domain.pause import PauseReason


class ApiError(Exception):
    """What the provider, or the way to it, said no with. `message` is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(ApiError):
    """Nothing was done, and the same call would be refused again.

    `type` is the API's own error type (`invalid_request_error`, `request_too_large`, …), `request`
    the number of the request it is about, from 0, where the refusal of a create names one.
    """

    def __init__(
        self,
        message: str,
        *,
        type: str,  # noqa: A002 - the API's word
        request: int | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.request = request


class Unavailable(ApiError):
    """Nothing was done; the same call may succeed later, at the earliest after `retry_after`.

    `reason` says whether time mends it (rate limit, overload, unreachable) or a person does
    (spend limit, credentials).
    """

    def __init__(
        self, message: str, *, reason: PauseReason, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class InDoubt(ApiError):
    """No answer, or one that proves nothing: it may have been done."""


class NotFound(ApiError):
    """The provider doesn't know it, for now: a 404 soon after create has been seen to heal."""


class ProcessingStatus(StrEnum):
    """The provider's words."""

    IN_PROGRESS = "in_progress"
    CANCELING = "canceling"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderBatch:
    """A batch as the provider describes it."""

    id: ProviderId
    processing_status: ProcessingStatus
    counts: Counts
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    results_url: str | None = None


class Body(Protocol):
    """The body of a create call: `length` bytes of JSON that can be read any number of times."""

    @property
    def length(self) -> int:
        """Bytes in all."""

    def chunks(self) -> Iterator[bytes]:
        """The body from its beginning, in large pieces."""


class BatchApi(Protocol):
    """Each call is made once: when and whether to repeat it is the engine's decision."""

    async def ready(self) -> None:
        """Get ready to call, as far as that can fail or takes long: before an intent is saved, not
        after. Raises Unavailable when there is nothing to call with."""

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        """Submit a batch. Raises Refused, Unavailable or InDoubt; never NotFound."""

    async def retrieve(self, provider_id: ProviderId) -> ProviderBatch:
        """Look at a batch. Raises NotFound, Refused or Unavailable."""

    async def cancel(self, provider_id: ProviderId) -> ProviderBatch:
        """Ask for a batch to be canceled; it may finish all the same. Raises like `retrieve`."""

    def created_since(self, since: datetime) -> AsyncGenerator[ProviderBatch, None]:
        """All batches of the workspace created at or after `since`, newest first, every page.

        Raises Refused or Unavailable.
        """

    def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        """The result lines of an ended batch, in the provider's order, many at a time.

        Lines come without their line end, and blank ones not at all. A stream that is seen to be
        cut raises Unavailable after the complete lines before the cut; one that ends silently too
        soon can't be seen here, so callers compare with the batch's counts. Raises NotFound too.
        """
