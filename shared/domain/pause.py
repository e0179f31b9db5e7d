"""A pause of all submitting: the provider or the account said not now."""

from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.polling import backoff
from shared.domain.record import Record


class PauseReason(StrEnum):
    """Why not now. ACCESS is the key or the address: no time mends it, and no call goes through."""

    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    SPEND_LIMIT = "spend_limit"
    LOW_CREDIT = "low_credit"
    ACCESS = "access"


class Pause(Record, frozen=True, kw_only=True):
    """Nothing is submitted before `until`; then one batch is tried, and success ends the pause.

    For LOW_CREDIT, which shows only in a batch's rows, success is a report, not an accepted batch.

    `strikes` counts the refusals in a row. `rev` is the store's, 0 when never stored.
    """

    until: datetime
    reason: PauseReason
    message: str
    strikes: int = 0
    rev: int = 0


def extended(
    pause: Pause | None,
    *,
    now: datetime,
    reason: PauseReason,
    message: str,
    asked: timedelta | None = None,
) -> Pause:
    """The pause after one more refusal."""
    strikes = pause.strikes + 1 if pause else 1
    return Pause(
        until=now + backoff(strikes - 1, asked=asked),
        reason=reason,
        message=message,
        strikes=strikes,
        rev=pause.rev if pause else 0,
    )
