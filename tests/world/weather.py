"""The weather of a world: what can go wrong in it, how often, and how large it is.

Each seed has only some of the faults, at rates of its own: two that hide each other never meet if
all are always there.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from shared.domain.policy import Policy


class Fault(StrEnum):
    """Everything that goes wrong, as the table and the story call it."""

    CRASH_BEFORE = "crash before a call"
    CRASH_AFTER = "crash after a call"
    TIME_OUT = "function out of time"
    OUTAGE = "everything crashes"
    STORE_DOWN = "table throttled"
    STORE_LOST = "table's answer lost"
    BLOBS_DOWN = "bucket throttled"
    BLOBS_LOST = "bucket's answer lost"
    BLOB_UNREADABLE = "object unreadable"
    QUEUE_DOWN = "queue unavailable"
    CREATE_UNSENT = "create never arrives"
    CREATE_LOST = "create's answer lost"
    CREATE_LATE = "create takes effect late"
    CREATE_500 = "create answers 500"
    CREATE_BUSY = "create answers 429 or 529"
    CREATE_REFUSED = "create answers 400"
    CREATE_OUTSIZED = "create answers 413"
    CREATE_KEY = "create answers 401"
    API_DOWN = "other call fails"
    API_404 = "404 that heals"
    CUT_IN_LINE = "results cut in a line"
    CUT_AT_LINE = "results cut at a line's end"
    ROWS_ERRORED = "batch with errored rows"
    ROWS_EXPIRED = "batch with expired rows"
    ROWS_ODD = "batch with refusals and overlong answers"
    ROWS_CUT_OFF = "batch with answers that are cut off"
    LINES_TWICE = "batch with lines doubled"
    LINES_STRANGE = "batch with strange lines"
    LINES_LOST = "batch with a line lost"
    WRONG_COUNTS = "batch with wrong counts"
    SLOW_BATCH = "batch that takes hours"
    LISTING_LAGS = "world where listings lag"
    INDEX_LAGS = "world where the index lags"
    SPEND_LIMIT = "spend limit reached"
    LOW_CREDIT = "credit empty"
    EVENT_TWICE = "event doubled"
    EVENT_LATE = "event late"
    EVENT_LOST = "event lost"
    STALL = "run stalls"
    CLOCK_JUMP = "clock jumps"
    TIME_LEAP = "hours without a tick"
    CANCEL = "job canceled by a person"
    RETRY = "failures retried by a person"


CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
STORE_FAULTS = (*CRASHES, Fault.STORE_DOWN)
STORE_WRITE_FAULTS = (*STORE_FAULTS, Fault.STORE_LOST)
BLOB_FAULTS = (*CRASHES, Fault.BLOBS_DOWN)
BLOB_READ_FAULTS = (*BLOB_FAULTS, Fault.BLOB_UNREADABLE)
BLOB_OVERWRITE_FAULTS = (*BLOB_FAULTS, Fault.BLOBS_LOST)
BLOB_WRITE_FAULTS = (*BLOB_OVERWRITE_FAULTS, Fault.BLOB_UNREADABLE)
QUEUE_FAULTS = (*CRASHES, Fault.QUEUE_DOWN)
CREATE_FAULTS = (
    *CRASHES,
    Fault.CREATE_UNSENT,
    Fault.CREATE_LOST,
    Fault.CREATE_LATE,
    Fault.CREATE_500,
    Fault.CREATE_BUSY,
    Fault.CREATE_REFUSED,
    Fault.CREATE_OUTSIZED,
    Fault.CREATE_KEY,
)
API_FAULTS = (*CRASHES, Fault.API_DOWN)
BATCH_FAULTS = (*API_FAULTS, Fault.API_404)
RESULTS_FAULTS = (*BATCH_FAULTS, Fault.CUT_IN_LINE, Fault.CUT_AT_LINE)
ROW_FAULTS = (
    Fault.ROWS_ERRORED,
    Fault.ROWS_EXPIRED,
    Fault.ROWS_ODD,
    Fault.ROWS_CUT_OFF,
    Fault.LINES_TWICE,
    Fault.LINES_STRANGE,
    Fault.LINES_LOST,
    Fault.WRONG_COUNTS,
    Fault.SLOW_BATCH,
)

_MOST: dict[Fault, float] = {
    Fault.CRASH_BEFORE: 0.03,
    Fault.CRASH_AFTER: 0.03,
    Fault.OUTAGE: 0.01,
    Fault.STORE_DOWN: 0.02,
    Fault.STORE_LOST: 0.03,
    Fault.BLOBS_DOWN: 0.1,
    Fault.BLOBS_LOST: 0.3,
    Fault.BLOB_UNREADABLE: 0.1,
    Fault.QUEUE_DOWN: 0.2,
    Fault.CREATE_UNSENT: 0.4,
    Fault.CREATE_LOST: 0.6,
    Fault.CREATE_LATE: 0.4,
    Fault.CREATE_500: 0.4,
    Fault.CREATE_BUSY: 0.4,
    Fault.CREATE_REFUSED: 0.1,
    Fault.CREATE_OUTSIZED: 0.1,
    Fault.CREATE_KEY: 0.1,
    Fault.API_DOWN: 0.3,
    Fault.API_404: 0.15,
    Fault.CUT_IN_LINE: 0.6,
    Fault.CUT_AT_LINE: 0.8,
    Fault.ROWS_ERRORED: 0.6,
    Fault.ROWS_EXPIRED: 0.3,
    Fault.ROWS_ODD: 0.6,
    Fault.ROWS_CUT_OFF: 0.6,
    Fault.LINES_TWICE: 0.5,
    Fault.LINES_STRANGE: 0.2,
    Fault.LINES_LOST: 0.1,
    Fault.WRONG_COUNTS: 0.1,
    Fault.SLOW_BATCH: 0.3,
    Fault.EVENT_TWICE: 0.4,
    Fault.EVENT_LATE: 0.3,
    Fault.EVENT_LOST: 0.15,
    Fault.STALL: 0.03,
    Fault.CLOCK_JUMP: 0.02,
    Fault.SPEND_LIMIT: 1.0,
    Fault.LOW_CREDIT: 1.0,
    Fault.TIME_LEAP: 1.0,
    Fault.CANCEL: 0.5,
    Fault.RETRY: 1.0,
}
"""The highest rate of each: per call, per batch, per event, or as a weight among what happens."""

LEASE = Policy().lease
GRACE = Policy().doubt_grace


@dataclass(slots=True, kw_only=True)
class Weather:
    """One world's faults and measures; `calm` ends all of it but what was already under way.

    `skew` is how far a process's clock may be from the provider's. A listing must not be believed
    too early, so the time that a batch may be missing from it (`listing_lag` and `late`), and what
    clocks can make of that time, stay below the grace: that is the promise's assumption.
    """

    rng: random.Random
    rates: dict[Fault, float]
    skew: timedelta
    listing_lag: timedelta
    late: timedelta
    index_lag: timedelta
    by_item: bool
    steps: int
    calm: bool = False
    counts: Counter[Fault] = field(default_factory=Counter)

    def draw(self, faults: tuple[Fault, ...], *, harsh: float = 1.0) -> Fault | None:
        """What strikes here, if anything; `harsh` where a crash hurts most."""
        if self.calm:
            return None
        number = self.rng.random()
        for fault in faults:
            number -= self.rates.get(fault, 0.0) * (harsh if fault in CRASHES else 1.0)
            if number < 0:
                return fault
        return None

    def strikes(self, fault: Fault) -> bool:
        """Whether this one strikes here; it is counted."""
        rate = 0.0 if self.calm else self.rates.get(fault, 0.0)
        struck = rate > 0 and self.rng.random() < rate
        if struck:
            self.counts[fault] += 1
        return struck

    @property
    def longest_life(self) -> timedelta:
        """A process is dead before anybody's clock says that its lease is over."""
        return LEASE - 2 * self.skew - timedelta(seconds=60)


def weather(rng: random.Random) -> Weather:
    """Draw a world's weather."""
    harshness = rng.choice((0.1, 0.5, 1.0, 1.0, 2.0))
    rates = {
        fault: min(most * harshness * rng.random(), 0.9)
        for fault, most in _MOST.items()
        if rng.random() < 0.5
    }
    skew, listing_lag, late = timedelta(seconds=rng.choice((0, 0, 1, 3))), 0.0, 20.0
    if Fault.CLOCK_JUMP in rates:
        rates.pop(Fault.CREATE_LATE, None)
        skew = timedelta(seconds=rng.choice((10, 60, 240)))
    elif rng.random() < 0.5:
        listing_lag = rng.choice((10.0, 30.0))
    index_lag = timedelta(seconds=rng.choice((0, 2, 20)))
    made = Weather(
        rng=rng,
        rates=rates,
        skew=skew,
        listing_lag=timedelta(seconds=listing_lag),
        late=timedelta(seconds=late),
        index_lag=index_lag,
        by_item=rng.random() < 0.5,
        steps=rng.choice((300, 500, 800)),
    )
    made.counts[Fault.LISTING_LAGS] += listing_lag > 0
    made.counts[Fault.INDEX_LAGS] += index_lag > timedelta(0)
    return made
