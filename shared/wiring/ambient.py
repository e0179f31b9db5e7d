"""What every real home takes from the machine: the time, and ids that nobody has drawn before."""

import secrets
from datetime import UTC, datetime

from shared.domain.ids import BatchId, batch_id


def utc_now() -> datetime:
    """The clock of a real home."""
    return datetime.now(UTC)


def new_batch_id() -> BatchId:
    """A batch id that nobody has drawn before."""
    return batch_id(secrets.randbits(60))
