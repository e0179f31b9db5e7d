"""The template translates and lints without a network, and keeps what linters don't look for."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws import REGION, TEMPLATE, environment, template

FUNCTIONS = {"Collect", "Intake", "Poll", "Reconcile", "Submit"}
ENVIRONMENT = {
    "DOCMILL_API_KEY_SECRET",
    "DOCMILL_COLLECT_QUEUE_URL",
    "DOCMILL_DOUBT_GRACE_S",
    "DOCMILL_INPUT_BUCKET",
    "DOCMILL_OUTPUT_BUCKET",
    "DOCMILL_TABLE",
    "DOCMILL_UPLOAD_QUEUE_URL",
}
SECONDS = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600}

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def translated() -> Iterator[dict[str, Any]]:
    """The template as CloudFormation gets it, with the parameters' defaults."""
    with environment():
        from samtranslator.parser.parser import Parser  # noqa: PLC0415 - costs 4 s
        from samtranslator.translator.translator import Translator  # noqa: PLC0415

        session = boto3.Session(region_name=REGION)
        parameters = {
            name: str(parameter["Default"]) for name, parameter in template()["Parameters"].items()
        }
        packaged = template()
        packaged["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
        translator = Translator({}, Parser(), boto_session=session)
        yield translator.translate(packaged, parameters)


@pytest.fixture(scope="module")
def resources(translated: dict[str, Any]) -> Resources:
    found: Resources = translated["Resources"]
    return found


def of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def statements(resources: Resources) -> list[dict[str, Any]]:
    """Every statement of every policy, wherever it stands."""
    found: list[dict[str, Any]] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "Effect" in value:
                found.append(value)
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(resources)
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def lint(path: Path) -> str:
    found = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--regions", REGION, "--template", path],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout + found.stderr


def test_cfn_lint_finds_nothing_as_written() -> None:
    assert lint(TEMPLATE) == ""


def test_cfn_lint_finds_nothing_once_translated(translated: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(translated), encoding="utf-8")
    assert lint(path) == ""


def test_no_yaml_alias_is_used_because_cloudformation_knows_none() -> None:
    written = TEMPLATE.read_text(encoding="utf-8")
    assert not [line for line in written.splitlines() if ": &" in line or ": *" in line]


def test_every_function_is_there_and_knows_its_surroundings(resources: Resources) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    assert functions.keys() == FUNCTIONS
    for name, function in functions.items():
        assert function["Handler"] == f"handlers.{name.lower()}.handler"
        assert function["Environment"]["Variables"].keys() == ENVIRONMENT
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]


def test_a_queue_hides_a_message_six_times_as_long_as_its_function_may_take(
    resources: Resources,
) -> None:
    sources = of_type(resources, "AWS::Lambda::EventSourceMapping")
    assert {source["FunctionName"]["Ref"] for source in sources.values()} == {"Collect", "Intake"}
    for source in sources.values():
        function = resources[source["FunctionName"]["Ref"]]["Properties"]
        queue = resources[source["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        window = source.get("MaximumBatchingWindowInSeconds", 0)
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + window
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_timer_ends_before_its_next_tick_and_has_no_other_retry(resources: Resources) -> None:
    schedules = of_type(resources, "AWS::Scheduler::Schedule")
    invoked = of_type(resources, "AWS::Lambda::EventInvokeConfig")
    retries = {
        each["FunctionName"]["Ref"]: each["MaximumRetryAttempts"] for each in invoked.values()
    }
    timers = set()
    for schedule in schedules.values():
        name = schedule["Target"]["Arn"]["Fn::GetAtt"][0]
        timers.add(name)
        count, unit = schedule["ScheduleExpression"].removeprefix("rate(").rstrip(")").split()
        function = resources[name]["Properties"]
        assert function["Timeout"] < int(count) * SECONDS[unit]
        assert function["ReservedConcurrentExecutions"] == 1
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
        assert retries[name] == 0
    assert timers == {"Submit", "Poll", "Reconcile"}


def test_nothing_is_allowed_to_everybody(resources: Resources) -> None:
    allowed = [each for each in statements(resources) if each["Effect"] == "Allow"]
    assert len(allowed) > len(FUNCTIONS)
    for statement in allowed:
        principal = statement.get("Principal", {})
        assert principal != "*"
        assert "*" not in [each for value in principal.values() for each in listed(value)]
        assert "NotPrincipal" not in statement
        assert "*" not in listed(statement.get("Resource", []))
        assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_only_the_input_bucket_of_this_account_may_send_uploads(resources: Resources) -> None:
    [policy] = of_type(resources, "AWS::SQS::QueuePolicy").values()
    [statement] = policy["PolicyDocument"]["Statement"]
    condition = statement["Condition"]
    assert condition["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    bucket = resources["InputBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert condition["ArnEquals"]["aws:SourceArn"]["Fn::Sub"].endswith(f":::{bucket}")
    assert "UploadQueuePolicy" in listed(resources["InputBucket"]["DependsOn"])


def test_buckets_are_closed_encrypted_and_kept(resources: Resources) -> None:
    buckets = of_type(resources, "AWS::S3::Bucket")
    assert buckets.keys() == {"InputBucket", "OutputBucket"}
    policies = of_type(resources, "AWS::S3::BucketPolicy")
    plain_refused = {policy["Bucket"]["Ref"] for policy in policies.values()}
    for name, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
        assert resources[name]["DeletionPolicy"] == "Retain"
        assert name in plain_refused


def test_the_output_never_feeds_the_input(resources: Resources) -> None:
    assert "NotificationConfiguration" not in resources["OutputBucket"]["Properties"]
    written = [
        json.dumps(each["Resource"])
        for each in statements(resources)
        if each["Effect"] == "Allow" and "s3:PutObject" in listed(each["Action"])
    ]
    assert written
    assert not [each for each in written if "InputBucket" in each]


def test_messages_that_fail_end_in_a_queue_that_keeps_them(resources: Resources) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    for name in ("UploadQueue", "CollectQueue"):
        redrive = queues[name]["RedrivePolicy"]
        assert redrive["maxReceiveCount"] == 5
        dead_letters = queues[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        assert dead_letters["MessageRetentionPeriod"] == 14 * 86400
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())


def test_the_table_is_kept_and_can_be_restored(resources: Resources) -> None:
    table = resources["Table"]
    assert table["DeletionPolicy"] == "Retain"
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    restore = table["Properties"]["PointInTimeRecoverySpecification"]
    assert restore["PointInTimeRecoveryEnabled"] is True
