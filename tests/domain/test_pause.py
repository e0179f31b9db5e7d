from datetime import UTC, datetime, timedelta

from shared.domain.pause import PauseReason, extended

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_each_refusal_in_a_row_makes_the_pause_longer() -> None:
    pause = None
    waits = []
    for _ in range(4):
        pause = extended(pause, now=NOW, reason=PauseReason.RATE_LIMIT, message="queue is full")
        waits.append(pause.until - NOW)
    assert waits == sorted(set(waits))
    assert pause is not None
    assert pause.strikes == 4


def test_a_pause_is_never_shorter_than_the_server_asked() -> None:
    asked = timedelta(minutes=10)
    pause = extended(None, now=NOW, reason=PauseReason.RATE_LIMIT, message="…", asked=asked)
    assert pause.until == NOW + asked
