"""The life of a batch, as one table; the rule it protects is intent before effect.

Its list of documents is saved before it is PLANNED, and SUBMITTING is saved before `create`
is called. An answer that didn't come makes it IN_DOUBT, which only proof ends. Decisions that
move many documents (RELEASING, FAILING) are saved before the first document moves.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from msgspec.structs import replace

from shared.domain.answer_form import AnswerForm
from shared.domain.bitmap import Bitmap
from shared.domain.catalog import Catalog, Usage
from shared.domain.document import Failure
from shared.domain.ids import BatchId, CustomId, JobName, ProviderId
from shared.domain.record import Record
from shared.domain.totals import Totals


class BatchStatus(StrEnum):
    PLANNED = "planned"
    SUBMITTING = "submitting"
    IN_DOUBT = "in_doubt"
    IN_PROGRESS = "in_progress"
    ENDED = "ended"
    COLLECTED = "collected"
    RELEASING = "releasing"
    RELEASED = "released"
    FAILING = "failing"
    FAILED = "failed"


class BatchEvent(StrEnum):
    TAKEN = "taken"
    INTENDED = "intended"
    ABANDONED = "abandoned"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    BLAMED = "blamed"
    OUTSIZED = "outsized"
    UNANSWERED = "unanswered"
    UNPROVEN = "unproven"
    UNPROVABLE = "unprovable"
    ADOPTED = "adopted"
    DISPROVED = "disproved"
    CHECKED = "checked"
    ENDED = "ended"
    VANISHED = "vanished"
    COLLECTED = "collected"
    SETTLED = "settled"


TRANSITIONS: dict[tuple[BatchStatus, BatchEvent], BatchStatus] = {
    (BatchStatus.PLANNED, BatchEvent.TAKEN): BatchStatus.PLANNED,
    (BatchStatus.PLANNED, BatchEvent.INTENDED): BatchStatus.SUBMITTING,
    (BatchStatus.PLANNED, BatchEvent.ABANDONED): BatchStatus.RELEASING,
    (BatchStatus.SUBMITTING, BatchEvent.ACCEPTED): BatchStatus.IN_PROGRESS,
    (BatchStatus.SUBMITTING, BatchEvent.DEFERRED): BatchStatus.PLANNED,
    (BatchStatus.SUBMITTING, BatchEvent.REFUSED): BatchStatus.FAILING,
    (BatchStatus.SUBMITTING, BatchEvent.BLAMED): BatchStatus.RELEASING,
    (BatchStatus.SUBMITTING, BatchEvent.OUTSIZED): BatchStatus.RELEASING,
    (BatchStatus.SUBMITTING, BatchEvent.UNANSWERED): BatchStatus.IN_DOUBT,
    (BatchStatus.IN_DOUBT, BatchEvent.UNPROVEN): BatchStatus.IN_DOUBT,
    (BatchStatus.IN_DOUBT, BatchEvent.ACCEPTED): BatchStatus.IN_PROGRESS,
    (BatchStatus.IN_DOUBT, BatchEvent.ADOPTED): BatchStatus.IN_PROGRESS,
    (BatchStatus.IN_DOUBT, BatchEvent.DISPROVED): BatchStatus.RELEASING,
    (BatchStatus.IN_DOUBT, BatchEvent.UNPROVABLE): BatchStatus.FAILING,
    (BatchStatus.IN_PROGRESS, BatchEvent.CHECKED): BatchStatus.IN_PROGRESS,
    (BatchStatus.IN_PROGRESS, BatchEvent.ENDED): BatchStatus.ENDED,
    (BatchStatus.IN_PROGRESS, BatchEvent.VANISHED): BatchStatus.FAILING,
    (BatchStatus.ENDED, BatchEvent.TAKEN): BatchStatus.ENDED,
    (BatchStatus.ENDED, BatchEvent.COLLECTED): BatchStatus.COLLECTED,
    (BatchStatus.ENDED, BatchEvent.VANISHED): BatchStatus.FAILING,
    (BatchStatus.RELEASING, BatchEvent.TAKEN): BatchStatus.RELEASING,
    (BatchStatus.RELEASING, BatchEvent.SETTLED): BatchStatus.RELEASED,
    (BatchStatus.FAILING, BatchEvent.TAKEN): BatchStatus.FAILING,
    (BatchStatus.FAILING, BatchEvent.SETTLED): BatchStatus.FAILED,
}

TERMINAL = frozenset({BatchStatus.COLLECTED, BatchStatus.RELEASED, BatchStatus.FAILED})
LIVE = tuple(status for status in BatchStatus if status not in TERMINAL)


class IllegalTransition(Exception):
    """An event that can't happen in this status: a bug, so nothing is changed."""


class Counts(Record, frozen=True, kw_only=True):
    """The provider's own counts of a batch's requests."""

    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        """All requests of the batch."""
        return self.processing + self.succeeded + self.errored + self.canceled + self.expired


class Member(Record, frozen=True, kw_only=True):
    """One place in a batch's list: the document and the id its result will carry.

    `twin` is the place of an earlier one whose request is the same but for its id: only that one
    is sent, and what it is answered is for both. `answered_by` is a request of an earlier batch
    that was the same: its answer is there already, and this one isn't sent.
    """

    path: str
    custom_id: CustomId
    twin: int | None = None
    answered_by: CustomId | None = None


class Batch(Record, frozen=True, kw_only=True):
    """What docmill knows of one batch.

    `size` is the length of its list, `excluded` the places (a bitmap) that are not sent, as others
    have the same request or as they can't be after all, `twins` those among them whose documents
    the batch holds beside that of the same request, `cached` says that what requests share is
    marked to be cached, `requests` what is left, `body_size` the bytes of the body sent,
    `cost_at_most` the US dollars that its list may cost, `one_at_most` what the costliest of its
    requests may (0 where the price isn't known). `next_at` is when somebody should look at it next;
    taking it up moves `next_at` a lease ahead. `tries` counts the looks since the last success, for
    backing off, `short_reads` the whole readings of its results that lacked lines. `blamed` is the
    place whose request alone `failure` is about, where the provider named one. `cancel_wanted` has
    poll ask for its cancellation until that is taken. `form` is how its answers have to be read,
    packed.
    `rev` is the store's: the revision read, 0 when never stored.
    """

    id: BatchId
    job: JobName
    group: str
    recipe: str
    fingerprint: str
    model: str
    betas: tuple[str, ...]
    status: BatchStatus
    size: int
    planned_at: datetime
    next_at: datetime
    inference_geo: str | None = None
    body_size: int = 0
    cost_at_most: Decimal = Decimal(0)
    one_at_most: Decimal = Decimal(0)
    excluded: bytes = b""
    twins: bytes = b""
    cached: bool = False
    intent_at: datetime | None = None
    doubt_since: datetime | None = None
    provider_id: ProviderId | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    collected_at: datetime | None = None
    not_found_since: datetime | None = None
    counts: Counts | None = None
    totals: Totals | None = None
    failure: Failure | None = None
    note: str = ""
    tries: int = 0
    short_reads: int = 0
    blamed: int | None = None
    cancel_wanted: bool = False
    form: bytes = b""
    rev: int = 0

    @property
    def requests(self) -> int:
        """How many requests were sent, or will be."""
        return self.size - len(Bitmap(self.excluded))

    @property
    def answer_form(self) -> AnswerForm:
        """The form it was planned with, whatever the recipe says by now."""
        return AnswerForm.unpacked(self.form)

    def cost(self, catalog: Catalog, usage: Usage) -> Decimal | None:
        """US dollars for what one of its requests used; None when the price is not known."""
        model = catalog.find(self.model)
        return catalog.cost(model, usage, batch=True, inference_geo=self.inference_geo)

    def place_of_request(self, number: int) -> int | None:
        """The place in the list of the request that was sent as number `number`, from 0."""
        excluded = Bitmap(self.excluded)
        sent = (place for place in range(self.size) if place not in excluded)
        return next(islice(sent, number, None), None)


def after(batch: Batch, event: BatchEvent, **changes: object) -> Batch:
    """The batch once `event` has happened, with `changes` made to its fields."""
    try:
        status = TRANSITIONS[batch.status, event]
    except KeyError:
        raise IllegalTransition(
            f"batch {batch.id} is {batch.status}: {event} can't happen"
        ) from None
    return replace(batch, status=status, **changes)
