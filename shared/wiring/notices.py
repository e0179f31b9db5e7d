"""What happened, for others to act on: events on the stack's own EventBridge bus.

A notice is told at most once for most events: a process that dies at that very moment leaves it
untold. The output bucket and its summaries are the truth, notices only save looking at them.
`group_finished` is told before the summary that shows it is written, so it is told at least once.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

SOURCE = "docmill"

NOTICES: Mapping[str, str] = MappingProxyType(
    {
        "group_finished": "Group Finished",
        "batch_collected": "Batch Collected",
        "batch_refused": "Batch Refused",
        "batch_vanished": "Batch Vanished",
        "doubt_given_up": "Doubt Given Up",
        "orphan_left": "Orphan Left",
        "documents_held": "Documents Held",
    }
)
"""By event: the `detail-type`. Their schema is in infra/template.yaml."""

_MOST_CHARACTERS = 2_000
"""Of one fact; EventBridge takes 256 KB in all."""


class Notices:
    """Puts events on a bus, through boto3's client for EventBridge."""

    def __init__(self, client: Any, bus: str, *, stack: str) -> None:
        self._client = client
        self._bus = bus
        self._stack = stack

    def tell(self, event: str, facts: Mapping[str, object]) -> bool:
        """Whether EventBridge took it. Raises what botocore raises."""
        short = {
            name: fact[:_MOST_CHARACTERS] if isinstance(fact, str) else fact
            for name, fact in facts.items()
        }
        detail = msgspec.json.encode({"stack": self._stack, **short}).decode()
        entry = {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": NOTICES[event],
            "Detail": detail,
        }
        failed: int = self._client.put_events(Entries=[entry])["FailedEntryCount"]
        return failed == 0
