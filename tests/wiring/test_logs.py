"""What a log line holds."""

import json

import pytest
import structlog

from shared.wiring.logs import configure_logs


def test_a_traceback_names_its_frames_without_their_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(key: str, text: str) -> None:
        raise ValueError(f"{len(key)} and {len(text)}")

    configure_logs("info")
    log = structlog.get_logger("docmill")
    try:
        fails("key-canary", "text-canary")
    except ValueError:
        log.exception("record_failed", message_id="1")
    finally:
        structlog.reset_defaults()
    line = capsys.readouterr().out
    assert "canary" not in line
    told = json.loads(line)
    assert told["exception"][0]["exc_value"] == "10 and 11"
    assert told["exception"][0]["frames"][-1]["name"] == "fails"
