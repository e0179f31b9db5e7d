"""Metrics in the log: what CloudWatch would read of a line."""

import json
from datetime import UTC, datetime

from shared.wiring.metrics import METRICS, NAMESPACE, metric_line

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def line(event: str, **facts: object) -> dict[str, object]:
    found = metric_line(event, facts, stack="team", at=AT)
    assert found is not None
    told: dict[str, object] = json.loads(found)
    return told


def test_an_event_becomes_metrics_as_the_format_wants_them() -> None:
    told = line("batch_collected", reported=3, failed=1, retried=0, cost_usd="0.0125", batch="b")
    assert told.pop("_aws") == {
        "Timestamp": 1795608000000,
        "CloudWatchMetrics": [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [["Stack"]],
                "Metrics": [
                    {"Name": "RequestsReported", "Unit": "Count"},
                    {"Name": "RequestsFailed", "Unit": "Count"},
                    {"Name": "RequestsRetried", "Unit": "Count"},
                    {"Name": "SpendUsd", "Unit": "None"},
                ],
            }
        ],
    }
    assert told == {
        "Stack": "team",
        "event": "batch_collected",
        "RequestsReported": 3,
        "RequestsFailed": 1,
        "RequestsRetried": 0,
        "SpendUsd": 0.0125,
    }


def test_an_event_without_a_number_counts() -> None:
    assert line("batch_in_doubt", batch="b", requests=7, message="no answer")["BatchesInDoubt"] == 1


def test_other_events_have_no_line() -> None:
    assert metric_line("document_failed", {"document": "a"}, stack="team", at=AT) is None


def test_a_name_has_one_meaning() -> None:
    names = [name for metrics in METRICS.values() for name in metrics]
    assert len(names) == len(set(names))
