"""What linters don't look for: the template under its defaults, and with everything switched on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.wiring.notices import NOTICES, SOURCE
from shared.wiring.settings import Settings
from tests.aws import REGION, TEMPLATE, template
from tests.infra.resolved import ACCOUNT, EVERYTHING, Stack
from tests.infra.translated import Resources, holding, listed, of_type, translated

FUNCTIONS = {"Collect", "Intake", "Poll", "Reconcile", "Submit"}
TIMERS = {"Poll", "Reconcile", "Submit"}
STARRED = {
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
"""What can't be allowed on a named resource."""

SECONDS = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600}
NOT_OF_THE_TEMPLATE = {
    "ANTHROPIC_API_KEY": "comes from the secret",
    "AWS_ENDPOINT_URL": "only for tests",
    "AWS_ENDPOINT_URL_S3": "only for tests",
    "DOCMILL_ASK_ABOVE": "is for a person at a terminal",
    "DOCMILL_MAX_BATCH_BYTES": "the provider's limit holds",
    "DOCMILL_MAX_REQUEST_BYTES": "the provider's limit holds",
}


@pytest.fixture(scope="module", params=["defaults", "everything"])
def stack(request: pytest.FixtureRequest) -> Stack:
    return Stack(EVERYTHING if request.param == "everything" else None)


@pytest.fixture(scope="module")
def resources(stack: Stack) -> Resources:
    return stack.resources


def lint(path: Path) -> str:
    found = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--regions", REGION, "--template", path],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout + found.stderr


def named(arn: str) -> str:
    return arn.rpartition(":")[2]


def test_cfn_lint_finds_nothing_as_written() -> None:
    assert lint(TEMPLATE) == ""


def test_cfn_lint_finds_nothing_once_translated(tmp_path: Path) -> None:
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(translated()), encoding="utf-8")
    assert lint(path) == ""


def test_no_yaml_alias_is_used_because_cloudformation_knows_none() -> None:
    written = TEMPLATE.read_text(encoding="utf-8")
    assert not [line for line in written.splitlines() if ": &" in line or ": *" in line]


def test_every_parameter_is_used_and_says_what_it_is_for() -> None:
    written = TEMPLATE.read_text(encoding="utf-8").partition("\nConditions:")[2]
    for name, parameter in template()["Parameters"].items():
        assert f"!Ref {name}" in written or f"${{{name}}}" in written, name
        assert "Description" in parameter or name.startswith("Log")
        assert "Default" in parameter


def test_every_function_is_there_with_lambdas_newest_python_and_is_traced(
    resources: Resources,
) -> None:
    functions = of_type(resources, "AWS::Lambda::Function")
    assert functions.keys() == FUNCTIONS
    for name, function in functions.items():
        assert function["Handler"] == f"handlers.{name.lower()}.handler"
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert resources[name]["Metadata"]["BuildMethod"] == "makefile"


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def test_the_environment_is_what_settings_read_and_is_right(stack: Stack) -> None:
    everywhere = set()
    for name in FUNCTIONS:
        given = stack.resources[name]["Properties"]["Environment"]["Variables"]
        asked = Asked({key: str(value) for key, value in given.items()})
        settings = Settings.from_env(asked, required=tuple(given))
        assert given.keys() <= asked.names
        everywhere |= asked.names - given.keys()
        assert settings.stack == "docmill"
        assert settings.input_bucket == stack.name("InputBucket")
        assert settings.output_bucket == stack.name("OutputBucket")
        assert "key" not in json.dumps(sorted(set(given) - {"DOCMILL_API_KEY_SECRET"})).lower()
    functions_own = {"ANTHROPIC_BASE_URL", "DOCMILL_SUBMIT_FUNCTION"}
    assert everywhere - functions_own == NOT_OF_THE_TEMPLATE.keys()


def test_a_queue_hides_a_message_six_times_as_long_as_its_function_may_take(
    stack: Stack, resources: Resources
) -> None:
    sources = of_type(resources, "AWS::Lambda::EventSourceMapping")
    assert {source["FunctionName"] for source in sources.values()} == {"Collect", "Intake"}
    queues = {
        stack.arn(name): queue for name, queue in of_type(resources, "AWS::SQS::Queue").items()
    }
    for source in sources.values():
        timeout = resources[source["FunctionName"]]["Properties"]["Timeout"]
        window = source.get("MaximumBatchingWindowInSeconds", 0)
        assert queues[source["EventSourceArn"]]["VisibilityTimeout"] >= 6 * timeout + window
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_a_timer_ends_before_its_next_tick_and_has_no_other_retry(resources: Resources) -> None:
    invoked = of_type(resources, "AWS::Lambda::EventInvokeConfig")
    retries = {each["FunctionName"]: each["MaximumRetryAttempts"] for each in invoked.values()}
    assert retries == dict.fromkeys(TIMERS, 0)
    schedules = of_type(resources, "AWS::Scheduler::Schedule")
    assert {named(each["Target"]["Arn"]) for each in schedules.values()} == TIMERS
    for schedule in schedules.values():
        name = named(schedule["Target"]["Arn"])
        count, unit = schedule["ScheduleExpression"].removeprefix("rate(").rstrip(")").split()
        assert (int(count) == 1) == (unit == "minute")
        function = resources[name]["Properties"]
        assert function["Timeout"] < int(count) * SECONDS[unit]
        assert function["Timeout"] < template()["Parameters"][f"{name}Minutes"]["MinValue"] * 60
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
        assert schedule["Name"] == f"docmill-{name.lower()}"


def test_nothing_is_allowed_to_everybody_and_no_action_is_left_open(resources: Resources) -> None:
    allowed = [each for each in holding("Effect", resources) if each["Effect"] == "Allow"]
    assert len(allowed) > len(FUNCTIONS)
    for statement in allowed:
        principal = statement.get("Principal", {})
        assert principal != "*"
        assert "*" not in [each for value in principal.values() for each in listed(value)]
        assert not {"NotPrincipal", "NotAction", "NotResource"} & statement.keys()
        actions = listed(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if "*" in listed(statement.get("Resource", [])):
            assert set(actions) <= STARRED


def test_a_service_may_act_for_this_account_only(resources: Resources) -> None:
    """Else a service could be led to act for somebody else's resource of a known name."""
    for statement in holding("Effect", resources):
        if statement["Effect"] == "Allow" and "Principal" in statement:
            service = statement["Principal"]["Service"]
            condition = json.dumps(statement.get("Condition", {}))
            assert ACCOUNT in condition or service == "lambda.amazonaws.com"


def test_only_the_input_bucket_may_send_uploads(stack: Stack, resources: Resources) -> None:
    policy = resources["UploadQueuePolicy"]["Properties"]["PolicyDocument"]
    [statement] = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": stack.arn("InputBucket")},
    }
    assert "UploadQueuePolicy" in listed(resources["InputBucket"]["DependsOn"])


def test_buckets_are_closed_and_encrypted(resources: Resources) -> None:
    buckets = of_type(resources, "AWS::S3::Bucket")
    assert buckets.keys() == {"InputBucket", "OutputBucket"}
    for bucket in buckets.values():
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert bucket["VersioningConfiguration"]["Status"] == "Enabled"


@pytest.mark.parametrize(
    ("kind", "policies", "field"),
    [
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
    ],
)
def test_nothing_is_said_in_the_clear(
    stack: Stack, resources: Resources, kind: str, policies: str, field: str
) -> None:
    refused = set()
    for policy in of_type(resources, policies).values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                assert statement["Principal"] == "*"
                assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                refused |= set(listed(statement["Resource"]))
        assert policy[field]
    assert {stack.arn(name) for name in of_type(resources, kind)} <= refused


def test_the_output_never_feeds_the_input(stack: Stack, resources: Resources) -> None:
    assert "NotificationConfiguration" not in resources["OutputBucket"]["Properties"]
    for statement in holding("Effect", resources):
        if statement["Effect"] == "Allow" and "s3:PutObject" in listed(statement["Action"]):
            assert statement["Resource"] == f"{stack.arn('OutputBucket')}/*"


def test_every_queue_has_dead_letters_that_only_it_may_use_and_two_alarms(
    stack: Stack, resources: Resources
) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    alarmed = {
        (alarm["MetricName"], alarm["Dimensions"][0]["Value"])
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
    }
    dead = {name for name in queues if name.endswith("DeadLetters")}
    assert len(queues) == 2 * len(dead)
    for name in queues.keys() - dead:
        redrive = queues[name]["RedrivePolicy"]
        assert redrive["maxReceiveCount"] == 5
        [letters] = [each for each in dead if stack.arn(each) == redrive["deadLetterTargetArn"]]
        assert queues[letters]["MessageRetentionPeriod"] == 14 * 86400
        assert queues[letters]["RedriveAllowPolicy"] == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [stack.arn(name)],
        }
        assert ("ApproximateAgeOfOldestMessage", stack.name(name)) in alarmed
        assert ("ApproximateNumberOfMessagesVisible", stack.name(letters)) in alarmed
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] != ("KmsMasterKeyId" in queue)


def test_what_holds_data_outlives_the_stack_but_not_a_first_deploy_that_fails(
    resources: Resources,
) -> None:
    """Left behind by such a deploy, a bucket of a known name blocks the next try."""
    kinds = {"AWS::S3::Bucket", "AWS::DynamoDB::Table"}
    kept = {name for name, each in resources.items() if each["Type"] in kinds}
    assert kept == {"InputBucket", "OutputBucket", "Table"}
    for name in kept:
        assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    for name in resources.keys() - kept:
        assert "Retain" not in resources[name].get("DeletionPolicy", ""), name


def test_the_table_can_be_restored(resources: Resources) -> None:
    table = resources["Table"]
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["Properties"]["SSESpecification"]["SSEEnabled"] is True
    restore = table["Properties"]["PointInTimeRecoverySpecification"]
    assert restore["PointInTimeRecoveryEnabled"] is True
    forgets = {"AttributeName": "expires", "Enabled": True}
    assert table["Properties"]["TimeToLiveSpecification"] == forgets


def test_rules_wait_for_notices_that_are_told_and_every_one_but_collected_reaches_a_person(
    resources: Resources,
) -> None:
    waited_for = []
    for rule in of_type(resources, "AWS::Events::Rule").values():
        assert rule["EventPattern"]["source"] == [SOURCE]
        assert rule["EventBusName"] == "docmill"
        waited_for += rule["EventPattern"]["detail-type"]
        json.loads(rule["Targets"][0]["InputTransformer"]["InputTemplate"])
    assert sorted(waited_for) == sorted(set(NOTICES.values()) - {"Batch Collected"})


def test_a_key_of_ones_own_encrypts_everything_that_rests() -> None:
    resources = Stack(EVERYTHING).resources
    kinds = {
        "AWS::DynamoDB::Table": 1,
        "AWS::Lambda::Function": 5,
        "AWS::Logs::LogGroup": 1,
        "AWS::S3::Bucket": 2,
        "AWS::SNS::Topic": 1,
        "AWS::SQS::Queue": 4,
    }
    for kind, count in kinds.items():
        found = of_type(resources, kind)
        assert len(found) == count
        for properties in found.values():
            assert EVERYTHING["KmsKeyArn"] in json.dumps(properties)
    own = Stack({"KmsKeyArn": EVERYTHING["KmsKeyArn"]}).resources["ApiKeySecret"]
    assert own["Properties"]["KmsKeyId"] == EVERYTHING["KmsKeyArn"]


def test_a_boundary_holds_every_role() -> None:
    roles = of_type(Stack(EVERYTHING).resources, "AWS::IAM::Role")
    assert len(roles) == len(FUNCTIONS) + 1
    for role in roles.values():
        assert role["PermissionsBoundary"] == EVERYTHING["PermissionsBoundaryArn"]


def test_timers_take_concurrency_away_from_an_account_only_when_asked() -> None:
    for stack, wanted in ((Stack(), set[str]()), (Stack(EVERYTHING), TIMERS)):
        functions = of_type(stack.resources, "AWS::Lambda::Function").items()
        assert {n for n, each in functions if "ReservedConcurrentExecutions" in each} == wanted
