"""Alarms and the dashboard: each looks at what is there, and can fire whatever the parameters."""

import json
import math
from typing import Any

import pytest

from shared.domain.polling import backoff
from shared.wiring.metrics import METRICS, NAMESPACE
from tests.aws import REGION, template
from tests.infra.resolved import ACCOUNT, EVERYTHING, Stack
from tests.infra.translated import Resources, of_type

FUNCTIONS = {"Collect", "Intake", "Poll", "Reconcile", "Submit"}
TIMERS = {"Poll", "Reconcile", "Submit"}
QUEUES = {"Intake": "UploadQueue", "Collect": "CollectQueue"}
TOLD_BY_RECONCILE = set(METRICS["looked_after"])
LARGEST = {
    name: parameter["MaxValue"]
    for name, parameter in template()["Parameters"].items()
    if "MaxValue" in parameter
}
"""Every parameter that has a greatest value, at it."""


@pytest.fixture(scope="module", params=["defaults", "everything", "largest"])
def stack(request: pytest.FixtureRequest) -> Stack:
    return Stack({"everything": EVERYTHING, "largest": LARGEST}.get(request.param))


@pytest.fixture(scope="module")
def resources(stack: Stack) -> Resources:
    return stack.resources


def alarms(resources: Resources, *metrics: str) -> list[dict[str, Any]]:
    """Those of these metrics; there are some."""
    found = of_type(resources, "AWS::CloudWatch::Alarm").values()
    asked = [alarm for alarm in found if alarm["MetricName"] in metrics]
    assert {alarm["MetricName"] for alarm in asked} == set(metrics)
    return asked


def repeated_after_s(resources: Resources, function: str) -> int:
    """How long after a failure the same is tried again: at the next tick, or by its message."""
    if function in QUEUES:
        hidden: int = resources[QUEUES[function]]["Properties"]["VisibilityTimeout"]
        return hidden
    [schedule] = [
        each
        for each in of_type(resources, "AWS::Scheduler::Schedule").values()
        if each["Name"] == f"docmill-{function.lower()}"
    ]
    count, _ = schedule["ScheduleExpression"].removeprefix("rate(").rstrip(")").split()
    return 60 * int(count)


def test_every_function_has_alarms_for_errors_and_throttles_and_every_timer_for_silence(
    resources: Resources,
) -> None:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    of_functions = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"])
        for alarm in alarms
        if alarm["Namespace"] == "AWS/Lambda"
    }
    wanted = {(metric, name) for metric in ("Errors", "Throttles") for name in FUNCTIONS}
    assert of_functions == wanted | {("Invocations", name) for name in TIMERS}
    for alarm in alarms:
        assert alarm["AlarmActions"] == [f"arn:aws:sns:{REGION}:{ACCOUNT}:Notifications"]
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= 86400
        silent = alarm["MetricName"] == "Invocations"
        assert alarm["TreatMissingData"] == ("breaching" if silent else "notBreaching")


def test_what_fails_each_time_is_seen_as_often_as_the_alarm_asks(resources: Resources) -> None:
    """However rarely it is tried: a period holds a failure for each time that fits into it."""
    for alarm in alarms(resources, "Errors"):
        again = repeated_after_s(resources, alarm["Dimensions"][0]["Value"])
        assert alarm["Threshold"] <= alarm["Period"] // again


def test_a_timer_that_is_throttled_at_each_tick_is_seen_in_every_period(
    resources: Resources,
) -> None:
    for alarm in alarms(resources, "Throttles"):
        function = alarm["Dimensions"][0]["Value"]
        assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
        assert alarm["Threshold"] == 1
        if function in TIMERS:
            assert alarm["Period"] >= repeated_after_s(resources, function)


def test_a_timer_that_ticks_is_never_called_silent(resources: Resources) -> None:
    for alarm in alarms(resources, "Invocations"):
        again = repeated_after_s(resources, alarm["Dimensions"][0]["Value"])
        assert alarm["Period"] >= 2 * again


def test_what_timers_tell_is_there_in_every_period(resources: Resources) -> None:
    """Else an alarm would end, and come again, between two ticks."""
    ages = TOLD_BY_RECONCILE - {"LiveBatches"}
    for alarm in alarms(resources, *ages):
        assert alarm["Period"] >= 2 * repeated_after_s(resources, "Reconcile")


def test_a_pause_that_is_declared_again_and_again_is_seen_in_every_period(
    resources: Resources,
) -> None:
    """That is at the first tick after the pause before it. A late tick may miss one hour."""
    tick = repeated_after_s(resources, "Submit")
    again = tick * math.ceil(backoff(100).total_seconds() / tick)
    [paused] = alarms(resources, "SubmittingPaused")
    assert paused["Threshold"] == 1
    assert paused["Period"] >= again
    assert 2 <= paused["DatapointsToAlarm"] < paused["EvaluationPeriods"]


def test_a_message_that_failed_twice_is_no_full_queue(stack: Stack, resources: Resources) -> None:
    """It waits for its next try; so old is also a message in a queue that is quick."""
    hidden = {
        stack.name(name): resources[name]["Properties"]["VisibilityTimeout"]
        for name in QUEUES.values()
    }
    found = alarms(resources, "ApproximateAgeOfOldestMessage")
    assert {alarm["Dimensions"][0]["Value"] for alarm in found} == hidden.keys()
    for alarm in found:
        assert alarm["Threshold"] > 2 * hidden[alarm["Dimensions"][0]["Value"]]
        assert alarm["Threshold"] < 86400


def test_alarms_and_dashboard_speak_of_metrics_that_are_written(resources: Resources) -> None:
    written = {name for metrics in METRICS.values() for name in metrics}
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    watched = [alarm for alarm in alarms if alarm["Namespace"] == NAMESPACE]
    assert {alarm["MetricName"] for alarm in watched} <= written
    for alarm in watched:
        assert alarm["Dimensions"] == [{"Name": "Stack", "Value": "docmill"}]
    assert resources["Dashboard"]["Properties"]["DashboardName"] == f"docmill-{REGION}", (
        "of all regions"
    )
    assert "-${AWS::Region}" in template()["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"]
    shown = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"])
    rows = [row for widget in shown["widgets"] for row in widget["properties"]["metrics"]]
    last = ""
    named_there = set()
    for row in rows:
        if row[0] not in {".", "..."}:
            last = row[0]
        if last == NAMESPACE:
            named_there.add(row[1])
    assert named_there <= written
    assert written - named_there == {"NoticesFailed"}


def test_an_alarm_for_spending_can_be_left_out() -> None:
    assert "SpendAlarm" in Stack().resources
    assert "SpendAlarm" not in Stack({"SpendAlarmUsd": 0}).resources
