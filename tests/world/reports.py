"""What is a report in the output, and whose: each kind of it says so in its way."""

import re

from shared.domain.names import REPORT_SUFFIXES

_CUSTOM_ID = re.compile(rb'custom_id"?: "([A-Za-z0-9_-]+)"')


def is_report(key: str) -> bool:
    """Whether a report lies there, where it belongs."""
    own = "/.docmill/" in key or key.endswith("/summary.json")
    return key.endswith(REPORT_SUFFIXES) and not own


def custom_id_of(report: bytes) -> str:
    """The request that a report is the answer to; empty when it says none."""
    found = _CUSTOM_ID.search(report)
    return found[1].decode() if found else ""
