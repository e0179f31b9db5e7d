"""Poll: look at the batches that are due, many at once, until the provider has ended them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.app.pauses import pause_if_refused
from shared.domain.batch import Batch, BatchEvent, BatchStatus, after
from shared.domain.document import Failure
from shared.domain.ids import BatchId
from shared.domain.pause import PauseReason
from shared.domain.policy import LEAST_LOOKS
from shared.domain.polling import Pace, backoff, next_check
from shared.ports.batch_api import (
    ApiError,
    NotFound,
    ProcessingStatus,
    ProviderBatch,
    Refused,
    Unavailable,
)
from shared.ports.store import StaleWrite

_AT_ONCE = 16
_PER_ROUND = 500
_MET_BY_ALL = frozenset({PauseReason.RATE_LIMIT, PauseReason.ACCESS})
"""What isn't about the batch that was looked at: all that are due would meet it too."""

_TOLD_EVERY = 4
"""Looks in vain: half a minute at first, as a 404 just after `create` heals, then once an hour."""

Tell = Callable[[BatchId], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What looking found: `ended` are ready to be collected.

    `more` is whether others may be due still, `unavailable` what every further look would have met:
    these are due as before.
    """

    checked: int = 0
    ended: tuple[BatchId, ...] = ()
    more: bool = False
    unavailable: Unavailable | None = None


def _nobody(batch: BatchId) -> None:
    """Nobody has to be told."""


async def poll(
    deps: Deps, *, limit: int = _PER_ROUND, until: datetime | None = None, tell: Tell = _nobody
) -> Polled:
    """Look at up to `limit` batches whose time has come.

    Each that has ended is told of at once, so that a crash later in the round loses only what
    reconcile makes up for. No look begins, or is waited for, once the clock passes `until`; and
    none begins after one that was told of a limit, or of a key that isn't taken.
    """
    due = deps.store.due(BatchStatus.IN_PROGRESS, now=deps.clock(), limit=limit)
    looks = _Round(deps=deps, due=iter(due), until=until, tell=tell)
    workers = (looks.work() for _ in range(min(_AT_ONCE, len(due))))
    for each in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(each, BaseException):
            raise each
    return Polled(
        checked=looks.checked,
        ended=tuple(looks.ended),
        more=len(due) >= limit or looks.checked < len(due),
        unavailable=looks.unavailable,
    )


class Looking:
    """Rounds of looks, one after the other, at the pace that the policy sets."""

    def __init__(self, deps: Deps, *, tell: Tell = _nobody) -> None:
        self._deps = deps
        self._tell = tell
        self._pace = Pace.full(deps.policy.looks_per_minute, now=deps.clock())

    @property
    def next_at(self) -> datetime:
        """When the next round may begin."""
        return self._pace.next_at

    async def round(self, *, until: datetime | None = None) -> Polled:
        """Look at what is due, as far as the pace allows now."""
        began = self._deps.clock()
        limit = min(self._pace.allowed(began), _PER_ROUND)
        polled = await poll(self._deps, limit=limit, until=until, tell=self._tell)
        self._pace = self._pace.after(polled.checked, now=began)
        if polled.unavailable is not None:
            rest = backoff(0, asked=polled.unavailable.retry_after)
            self._pace = self._pace.held(self._deps.clock() + rest)
        return polled


async def poll_until(
    deps: Deps, until: datetime, *, tell: Tell, sleep: Callable[[float], Awaitable[None]]
) -> Polled:
    """Look at all that is due, spread over the time until then. What is left comes first next."""
    looking = Looking(deps, tell=tell)
    checked = 0
    ended: tuple[BatchId, ...] = ()
    while True:
        polled = await looking.round(until=until)
        checked += polled.checked
        ended += polled.ended
        wait = max(looking.next_at - deps.clock(), timedelta(0))
        if not polled.more or polled.unavailable or deps.clock() + wait >= until:
            return Polled(
                checked=checked, ended=ended, more=polled.more, unavailable=polled.unavailable
            )
        await sleep(wait.total_seconds())


@dataclass(slots=True, kw_only=True)
class _Round:
    """Some workers share what is due. Any failure but the provider's ends the round."""

    deps: Deps
    due: Iterator[Batch]
    until: datetime | None
    tell: Tell
    checked: int = 0
    ended: list[BatchId] = field(default_factory=list)
    unavailable: Unavailable | None = None
    broken: bool = False

    async def work(self) -> None:
        """Look at one after the other, as long as there is something and nothing stops it."""
        while not self._over() and (batch := next(self.due, None)) is not None:
            self.checked += 1
            try:
                await self._look(batch)
            except BaseException:
                self.broken = True
                raise

    def _over(self) -> bool:
        late = self.until is not None and self.deps.clock() >= self.until
        return late or self.broken or self.unavailable is not None

    async def _look(self, batch: Batch) -> None:
        try:
            found = await self._asked(batch)
        except Unavailable as error:
            self._failed(batch, error)
        except (NotFound, Refused) as error:
            _not_found(self.deps, batch, error)
        else:
            if found.processing_status is ProcessingStatus.ENDED:
                self._ended(batch, found)
            else:
                self._goes_on(batch, found)

    async def _asked(self, batch: Batch) -> ProviderBatch:
        """How the provider describes it; a wish to have it canceled goes along."""
        if batch.provider_id is None:
            raise AssertionError(f"batch {batch.id} is in progress without the provider's id")
        left = None if self.until is None else (self.until - self.deps.clock()).total_seconds()
        try:
            async with asyncio.timeout(left):
                found = await self.deps.api.retrieve(batch.provider_id)
                if batch.cancel_wanted and found.processing_status is ProcessingStatus.IN_PROGRESS:
                    with suppress(ApiError):  # asked again at the next look
                        await self.deps.api.cancel(batch.provider_id)
        except TimeoutError as error:
            message = "no answer in the time there was"
            raise Unavailable(message, reason=PauseReason.UNREACHABLE) from error
        return found

    def _failed(self, batch: Batch, error: Unavailable) -> None:
        if error.reason in _MET_BY_ALL and self.unavailable is None:
            self.unavailable = error
            pause_if_refused(self.deps, error)
        tries = batch.tries + 1
        wait = backoff(tries, asked=error.retry_after)
        self.deps.emit("check_failed", batch=batch.id, message=error.message)
        _checked(self.deps, batch, tries=tries, next_at=self.deps.clock() + wait)

    def _ended(self, batch: Batch, found: ProviderBatch) -> None:
        now = self.deps.clock()
        try:
            self.deps.store.swap_batch(
                after(
                    batch,
                    BatchEvent.ENDED,
                    counts=found.counts,
                    ended_at=found.ended_at or now,
                    not_found_since=None,
                    tries=0,
                    next_at=now,
                ),
                durable=False,
            )
        except StaleWrite:
            return
        self.deps.emit("batch_ended", batch=batch.id, provider_id=batch.provider_id)
        self.ended.append(batch.id)
        self.tell(batch.id)

    def _goes_on(self, batch: Batch, found: ProviderBatch) -> None:
        deps = self.deps
        now = deps.clock()
        wait = next_check(now - (batch.created_at or batch.planned_at), deps.policy.poll_interval)
        _checked(
            deps, batch, counts=found.counts, not_found_since=None, tries=0, next_at=now + wait
        )
        deps.emit(
            "batch_checked",
            batch=batch.id,
            status=found.processing_status,
            processing=found.counts.processing,
            total=found.counts.total,
        )


def _checked(deps: Deps, batch: Batch, **changes: object) -> None:
    """Not durable, as what a power cut takes of it, the next look brings back."""
    with suppress(StaleWrite):
        deps.store.swap_batch(after(batch, BatchEvent.CHECKED, **changes), durable=False)


def _not_found(deps: Deps, batch: Batch, error: NotFound | Refused) -> None:
    """A 404 is not a loss: it has been seen to heal. Only one that outlives the batch is final."""
    now = deps.clock()
    since = batch.not_found_since or now
    tries = batch.tries + 1
    if tries % _TOLD_EVERY == 0:
        deps.emit("batch_not_found", batch=batch.id, message=error.message)
    if now - since < deps.policy.not_found_grace or tries < LEAST_LOOKS:
        _checked(
            deps,
            batch,
            not_found_since=since,
            tries=tries,
            note=error.message,
            next_at=now + backoff(tries),
        )
        return
    message = (
        f"the provider has not known batch {batch.provider_id} for "
        f"{deps.policy.not_found_grace}: {error.message}"
    )
    failure = Failure(type="batch_not_found", message=message, retryable=True)
    mark_stale(deps.store, batch.job)
    with suppress(StaleWrite):
        deps.emit("batch_vanished", batch=batch.id, message=message)
        deps.store.swap_batch(
            after(batch, BatchEvent.VANISHED, failure=failure, note=message, next_at=now)
        )
