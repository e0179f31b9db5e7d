from typing import Any

import pytest

from tests.adapters.simulator.core_client import CoreClient, row


def block(text: str = "x", **mark: object) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **mark}}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"system": [{"type": "text", "text": "x", "cache_control": {"type": "forever"}}]},
            "system.0.cache_control.type: Input should be 'ephemeral'",
        ),
        ({"system": [block(ttl="2h")]}, "system.0.cache_control.ttl: Input should be '5m' or '1h'"),
        ({"system": [block("")]}, "system.0: cache_control cannot be set for empty text blocks"),
        (
            {"messages": [{"role": "user", "content": [block() for _ in range(5)]}]},
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ),
        (
            {"system": [block(ttl="5m"), block(ttl="1h")]},
            "cache_control: a ttl='1h' block must not come after a ttl='5m' block",
        ),
    ],
)
def test_a_wrong_mark_fails_its_row(params: dict[str, Any], message: str) -> None:
    one = CoreClient()
    batch = one.create([row("a", **params)])
    one.later(101)
    error = one.results(batch)["a"]["error"]["error"]
    assert (error["type"], error["message"]) == ("invalid_request_error", message)


def test_marks_in_order_are_taken() -> None:
    one = CoreClient()
    batch = one.create([row("a", system=[block(ttl="1h"), block(ttl="5m"), block()])])
    one.later(101)
    assert one.results(batch)["a"]["type"] == "succeeded"
