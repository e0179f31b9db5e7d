"""What is told of, in the shape that infra/notices.schema.json promises."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from botocore.exceptions import EndpointConnectionError

from shared.wiring.aws import AwsHome
from shared.wiring.notices import NOTICES, SOURCE, Notices
from shared.wiring.settings import Settings
from tests.aws import environment

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "infra" / "notices.schema.json").read_text(encoding="utf-8")
)
FACTS: dict[str, dict[str, object]] = {
    "group_finished": {"job": "j", "group": "", "reported": 2, "failed": 0},
    "batch_collected": {
        "batch": "b",
        "group": "g",
        "reported": 1,
        "failed": 0,
        "retried": 0,
        "cost_usd": "0.01",
    },
    "batch_refused": {"batch": "b", "type": "invalid_request_error", "message": "x" * 9_000},
    "batch_vanished": {"batch": "b", "message": "m"},
    "doubt_given_up": {"batch": "b", "message": "m"},
    "orphan_left": {"batch": "b", "provider_id": "p", "message": "m"},
    "documents_held": {"group": "g", "documents": 4, "message": "m"},
}


class Bus:
    """EventBridge's client, as far as it is used."""

    def __init__(self, *, failed: int = 0) -> None:
        self.entries: list[dict[str, Any]] = []
        self._failed = failed

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.entries += Entries
        return {"FailedEntryCount": self._failed}


def test_every_notice_has_the_shape_that_its_schema_promises() -> None:
    assert FACTS.keys() == NOTICES.keys()
    bus = Bus()
    for event, facts in FACTS.items():
        assert Notices(bus, "team", stack="team").tell(event, facts)
    for event, entry in zip(FACTS, bus.entries, strict=True):
        assert entry["EventBusName"] == "team"
        detail = json.loads(entry["Detail"])
        told = {"source": SOURCE, "detail-type": NOTICES[event], "detail": detail}
        jsonschema.validate(entry | told, SCHEMA)
        assert detail["stack"] == "team"
        del detail["group" if event == "group_finished" else "stack"]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(told, SCHEMA)


def test_a_notice_that_was_not_taken_is_said_to_be() -> None:
    notices = Notices(Bus(failed=1), "team", stack="team")
    assert not notices.tell("batch_vanished", {"batch": "b", "message": "m"})


@pytest.mark.parametrize("level", ["info", "error"])
def test_a_bus_that_does_not_answer_stops_nothing_and_is_counted_at_any_log_level(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    class Away(Bus):
        def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            raise EndpointConnectionError(endpoint_url="x")

    settings = Settings(
        input_bucket="in", output_bucket="out", table="t", event_bus="b", stack="s", log_level=level
    )
    with environment():
        home = AwsHome(settings)
        monkeypatch.setattr(AwsHome, "_notices", Notices(Away(), "b", stack="s"))
        home.tell("batch_vanished", batch="k", message="m")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [counted] = [line for line in lines if "_aws" in line]
    assert counted["NoticesFailed"] == 1
    assert any(line["event"] == "batch_vanished" for line in lines) == (level == "info")
    assert any("EndpointConnectionError" in json.dumps(line) for line in lines)
