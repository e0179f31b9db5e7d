"""What happened, as numbers that CloudWatch takes from the log: the embedded metric format.

Its own few lines: the library that writes the format takes 72 ms of every cold start to import.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

NAMESPACE = "docmill"
DIMENSION = "Stack"

METRICS: Mapping[str, Mapping[str, tuple[str | None, str]]] = MappingProxyType(
    {
        "uploads_taken_in": {
            "DocumentsNew": ("new", "Count"),
            "DocumentsChanged": ("changed", "Count"),
            "DocumentsUnusable": ("unusable", "Count"),
        },
        "batch_submitted": {
            "BatchesSubmitted": (None, "Count"),
            "RequestsSubmitted": ("requests", "Count"),
        },
        "batch_collected": {
            "RequestsReported": ("reported", "Count"),
            "RequestsFailed": ("failed", "Count"),
            "RequestsRetried": ("retried", "Count"),
            "SpendUsd": ("cost_usd", "None"),
        },
        "batch_in_doubt": {"BatchesInDoubt": (None, "Count")},
        "submitting_paused": {"SubmittingPaused": (None, "Count")},
        "notice_failed": {"NoticesFailed": (None, "Count")},
        "looked_after": {
            "OldestWaitingSeconds": ("oldest_waiting_s", "Seconds"),
            "OldestBatchSeconds": ("oldest_batch_s", "Seconds"),
            "OldestResultsSeconds": ("oldest_results_s", "Seconds"),
            "LiveBatches": ("live_batches", "Count"),
        },
    }
)
"""By event: each metric, the fact that is its value (None: it counts the events), and its unit."""


def metric_line(
    event: str, facts: Mapping[str, object], *, stack: str, at: datetime
) -> bytes | None:
    """The line that makes metrics of an event; None where it has none."""
    metrics = METRICS.get(event)
    if metrics is None:
        return None
    told = {
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
    }
    line = {
        "_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [told]},
        DIMENSION: stack,
        "event": event,
        **{
            name: 1 if fact is None else float(str(facts[fact]))
            for name, (fact, _) in metrics.items()
        },
    }
    return msgspec.json.encode(line)
