"""The numbers the engine runs by, each with where it comes from."""

from dataclasses import dataclass
from datetime import timedelta

MAX_BATCH_REQUESTS = 100_000
"""Requests per batch, from the Batches API reference."""

MAX_BATCH_BYTES = 256_000_000
"""Bytes per batch body. The reference says 256 MB; should it mean MiB, this is still below."""

RESULTS_KEPT = timedelta(days=29)
"""How long results can be fetched, counted from the batch's creation (reference)."""

EVER = timedelta(days=3650)
"""Further ahead than anything is ever due: asks for what is due at any time."""

BATCH_LIFETIME = timedelta(hours=24)
"""When the provider expires what it hasn't finished (reference)."""


LOOKS_PER_MINUTE = 500
"""Half of what the lowest tier may call of the Batches API, 1,000 requests a minute for all its
methods together (reference, rate limits). The rest is for submitting, collecting, and others."""

MAX_REQUEST_BYTES = 32_000_000
"""Bytes of one request with attachments: the limit of the Messages API (reference). Whether it
holds for each request of a batch is not documented."""

PLANNING = timedelta(minutes=5)
"""How long documents are converted for one batch: a function that plans has 15 minutes in all, and
on a laptop the first batch should be on its way meanwhile."""

BYTES_PER_TOKEN = 4
"""Of an answer in the results, about: English text, and JSON around it."""

LEAST_LOOKS = 12
"""What isn't there counts as gone after so many looks in a row at least: a 404 has been seen to
heal, and of a day nobody looked in (a lid that was closed) two say no more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a home sets for its engine.

    `doubt_grace`: how long a listing that doesn't show a batch isn't believed.
    `clock_skew`: how far the provider's clock may be behind ours when batches are listed. A
    machine whose clock shows local time as UTC is off by up to 14 hours, and believing it pays
    twice; looking back further costs a page of the listing per 1,000 batches.
    `index_lag`: how far the store's index may be behind its rows.
    `looks_per_minute`: how often batches may be looked at, all together.
    `lease`: how long a batch stays with the process that took it up.
    `max_request_bytes`: how large a request with attachments may be.
    `planning`: how long converting documents for one plan may take.
    `max_results_bytes`: how long the results of a batch may get, were every answer as long as it
    may be; for a home that reads them within a limited time.
    `reports_by_job`: reports lie below `<job>/`, as in a bucket that several jobs share.
    `check_reports`: a report that somebody removed makes its document a failure when it is seen
    again; not for buckets, which may let reports expire.
    """

    poll_interval: timedelta = timedelta(seconds=60)
    doubt_grace: timedelta = timedelta(seconds=60)
    clock_skew: timedelta = timedelta(hours=24)
    not_found_grace: timedelta = BATCH_LIFETIME + timedelta(hours=1)
    index_lag: timedelta = timedelta(0)
    looks_per_minute: int = LOOKS_PER_MINUTE
    lease: timedelta = timedelta(minutes=15)
    max_attempts: int | None = None
    max_batch_requests: int = MAX_BATCH_REQUESTS
    max_batch_bytes: int = MAX_BATCH_BYTES
    max_request_bytes: int = MAX_REQUEST_BYTES
    planning: timedelta = PLANNING
    max_results_bytes: int | None = None
    reports_by_job: bool = False
    check_reports: bool = False

    def most_requests(self, max_tokens: int) -> int:
        """How many requests a batch may have whose answers may be `max_tokens` long."""
        if self.max_results_bytes is None:
            return self.max_batch_requests
        fit = self.max_results_bytes // (max_tokens * BYTES_PER_TOKEN)
        return max(1, min(self.max_batch_requests, fit))

    @property
    def group_kept(self) -> timedelta:
        """How long a group stays open after its last touch, where several processes share a table.

        Whoever opened it for a document that it is about to write has done so by then, or is dead,
        and the index shows it.
        """
        return max(self.index_lag, self.lease) if self.index_lag else self.index_lag
