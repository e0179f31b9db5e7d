"""A job: a recipe and the documents it applies to."""

from datetime import datetime

from shared.domain.document import Failure
from shared.domain.ids import JobName
from shared.domain.record import Record


class Job(Record, frozen=True, kw_only=True):
    """What docmill remembers of a job besides its documents and batches.

    `stale` says that `failures.jsonl` and `summary.json` are behind the state. `problem` is
    what keeps all of it from being worked on. `settings` is
    the home's own: the laptop keeps the command there so that `retry` needs no arguments.
    `most_bytes` is how large a batch's body may be where the provider, or a gateway before it,
    refused a larger one.
    `published_at` is when those files were last written, `publishing_s` how many seconds that
    took; `publish_tries` how often that was begun since without coming to its end, and
    `publish_tried_at` when last. `plans` goes up with each batch that is planned below a limit of
    costs, so that whoever adds them up notices one that somebody else planned at the same time.
    `tables` says that results tables were written: what lies in their place is docmill's.
    `digests` says that there is a recipe for digests of its groups, and that those that were
    finished are noted.
    `rev` is the store's, 0 when never stored.
    """

    name: JobName
    stale: bool = False
    problem: Failure | None = None
    settings: dict[str, str]
    most_bytes: int | None = None
    published_at: datetime | None = None
    publishing_s: float = 0.0
    publish_tries: int = 0
    publish_tried_at: datetime | None = None
    plans: int = 0
    tables: bool = False
    digests: bool = False
    rev: int = 0
