"""What was deployed is what the template says, as the server reports it.

Nothing of the template is repeated here: it is resolved with the names that resources got.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.infra.resolved import Stack
from tests.infra.translated import of_type
from tests.stack.deployed import Deployed

QUEUES = {"UploadQueue", "UploadDeadLetters", "CollectQueue", "CollectDeadLetters"}
TIMERS = {"Submit", "Poll", "Reconcile"}
BUCKETS = {"InputBucket", "OutputBucket"}


@pytest.fixture(scope="module")
def template(stack: Deployed) -> Stack:
    account = stack.out["UploadDeadLettersArn"].split(":")[4]
    return Stack(stack.parameters, account=account, names=stack.names)


def has(found: Mapping[str, Any], wanted: Mapping[str, Any], *names: str) -> None:
    """Both have these, and they are equal."""
    assert {name: found[name] for name in names} == {name: wanted[name] for name in names}


def sorted_rows(rows: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_uploads_and_removals_are_told_to_the_queue_all_of_them(
    stack: Deployed, template: Stack
) -> None:
    s3 = stack.aws.client("s3")
    answer = s3.get_bucket_notification_configuration(Bucket=stack.out["InputBucketName"])
    found = [
        {"Event": event, "Queue": each["QueueArn"], "Filter": each.get("Filter")}
        for each in answer["QueueConfigurations"]
        for event in each["Events"]
    ]
    bucket = template.resources["InputBucket"]["Properties"]
    wanted = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert sorted_rows(found) == sorted_rows({"Filter": None, **each} for each in wanted)
    kinds = {"TopicConfigurations", "LambdaFunctionConfigurations", "EventBridgeConfiguration"}
    assert not kinds & answer.keys()


@pytest.mark.parametrize("name", sorted(BUCKETS))
def test_buckets_are_closed_versioned_and_encrypted(
    stack: Deployed, template: Stack, name: str
) -> None:
    s3, bucket = stack.aws.client("s3"), stack.names[name]
    wanted = template.resources[name]["Properties"]
    closed = s3.get_public_access_block(Bucket=bucket)
    has(closed, wanted, "PublicAccessBlockConfiguration")
    has(s3.get_bucket_versioning(Bucket=bucket), wanted["VersioningConfiguration"], "Status")
    owned = s3.get_bucket_ownership_controls(Bucket=bucket)
    has(owned, wanted, "OwnershipControls")
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    [asked] = wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {
        "ApplyServerSideEncryptionByDefault": asked["ServerSideEncryptionByDefault"],
        "BucketKeyEnabled": asked["BucketKeyEnabled"],
    }
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert policy == template.resources[f"{name}Policy"]["Properties"]["PolicyDocument"]


@pytest.mark.parametrize("name", sorted(QUEUES))
def test_queues_hide_and_keep_messages_as_long_as_they_should_and_know_their_dead_letters(
    stack: Deployed, template: Stack, name: str
) -> None:
    sqs = stack.aws.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=stack.queue(name), AttributeNames=["All"])
    attributes = found["Attributes"]
    wanted = template.resources[name]["Properties"]
    for attribute, value in wanted.items():
        match attribute, value:
            case "QueueName", _:
                assert attributes["QueueArn"].endswith(f":{value}")
            case _, dict():
                assert json.loads(attributes[attribute]) == value
            case _:
                assert attributes[attribute].lower() == str(value).lower()
    policy = json.loads(attributes["Policy"])
    assert policy == template.resources[f"{name}Policy"]["Properties"]["PolicyDocument"]


def test_queues_call_their_functions_in_batches_that_fail_in_part(
    stack: Deployed, template: Stack
) -> None:
    functions = stack.aws.client("lambda")
    found = functions.list_event_source_mappings()["EventSourceMappings"]
    wanted = of_type(template.resources, "AWS::Lambda::EventSourceMapping")
    assert len(found) == len(wanted) == 2
    by_queue = {each["EventSourceArn"]: each for each in found}
    for asked in wanted.values():
        mapping = by_queue[asked["EventSourceArn"]]
        assert mapping["FunctionArn"].rpartition(":")[2] == asked["FunctionName"]
        assert mapping["State"] == "Enabled"
        window = asked.get("MaximumBatchingWindowInSeconds", 0)
        assert mapping["MaximumBatchingWindowInSeconds"] == window
        assert asked["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        has(mapping, asked, "BatchSize", "FunctionResponseTypes", "ScalingConfig")


def test_a_message_is_hidden_for_six_times_as_long_as_a_function_may_have_it(
    stack: Deployed,
) -> None:
    """As reported of the queue and of the function: not as the template says."""
    functions, sqs = stack.aws.client("lambda"), stack.aws.client("sqs")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        name = mapping["FunctionArn"].rpartition(":")[2]
        timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
        url = sqs.get_queue_url(QueueName=mapping["EventSourceArn"].rpartition(":")[2])["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        hidden = int(found["Attributes"]["VisibilityTimeout"])
        assert hidden >= 6 * timeout + mapping["MaximumBatchingWindowInSeconds"]


def test_timers_tick_at_their_rates_without_retries(stack: Deployed, template: Stack) -> None:
    scheduler = stack.aws.client("scheduler")
    found = {each["Name"] for each in scheduler.list_schedules()["Schedules"]}
    wanted = of_type(template.resources, "AWS::Scheduler::Schedule")
    assert found == {schedule["Name"] for schedule in wanted.values()}
    targets = set()
    for asked in wanted.values():
        schedule = scheduler.get_schedule(Name=asked["Name"])
        has(schedule, asked, "ScheduleExpression", "FlexibleTimeWindow")
        assert schedule["State"] == "ENABLED"
        has(schedule["Target"], asked["Target"], "Arn", "RoleArn", "RetryPolicy")
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
        targets.add(asked["Target"]["Arn"].rpartition(":")[2])
    assert targets == {stack.names[name] for name in TIMERS}


def test_functions_have_the_environment_the_time_and_the_memory_of_the_template(
    stack: Deployed, template: Stack
) -> None:
    wanted = of_type(template.resources, "AWS::Lambda::Function")
    functions = stack.aws.client("lambda")
    listed = {each["FunctionName"] for each in functions.list_functions()["Functions"]}
    assert listed == {stack.names[name] for name in wanted}
    for name, asked in wanted.items():
        found = functions.get_function_configuration(FunctionName=stack.names[name])
        has(found, asked, "Handler", "Runtime", "Architectures", "MemorySize", "Timeout", "Role")
        assert found["TracingConfig"] == asked["TracingConfig"]
        assert found["LoggingConfig"] == asked["LoggingConfig"]
        if "EphemeralStorage" in asked:
            has(found, asked, "EphemeralStorage")
        variables = asked["Environment"]["Variables"]
        assert found["Environment"]["Variables"] == {
            variable: shown(stack, template, variable, value)
            for variable, value in variables.items()
        }


def shown(stack: Deployed, template: Stack, variable: str, value: object) -> str:
    """As the server has it: it calls a queue by its own address, and a secret by its name."""
    if variable.endswith("_QUEUE_URL"):
        url = stack.queue("CollectQueue" if "COLLECT" in variable else "UploadQueue")
        return url.replace("//127.0.0.1:", "//localhost:")
    if variable == "DOCMILL_API_KEY_SECRET":
        assert value == template.arn("ApiKeySecret")
        return stack.names["ApiKeySecret"]
    return str(value)


def test_roles_may_do_what_the_template_lets_them(stack: Deployed, template: Stack) -> None:
    """The server calls the secret by its name where AWS has its ARN."""
    iam = stack.aws.client("iam")
    arn, name_of_secret = template.arn("ApiKeySecret"), stack.names["ApiKeySecret"]
    wanted = of_type(template.resources, "AWS::IAM::Role")
    for name, asked in wanted.items():
        role = stack.names[name]
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        assert trust == asked["AssumeRolePolicyDocument"]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        assert sorted(names) == sorted(each["PolicyName"] for each in asked["Policies"])
        for policy in asked["Policies"]:
            found = iam.get_role_policy(RoleName=role, PolicyName=policy["PolicyName"])
            wanted_text = json.dumps(policy["PolicyDocument"]).replace(arn, name_of_secret)
            assert found["PolicyDocument"] == json.loads(wanted_text)


def test_the_table_has_the_keys_and_indexes_of_the_template(
    stack: Deployed, template: Stack
) -> None:
    dynamo = stack.aws.client("dynamodb")
    table = dynamo.describe_table(TableName=stack.out["TableName"])["Table"]
    [asked] = of_type(template.resources, "AWS::DynamoDB::Table").values()
    has(table, asked, "KeySchema")
    assert table["BillingModeSummary"]["BillingMode"] == asked["BillingMode"]
    found = {each["IndexName"]: each for each in table["GlobalSecondaryIndexes"]}
    assert len(found) == len(asked["GlobalSecondaryIndexes"])
    for index in asked["GlobalSecondaryIndexes"]:
        has(found[index["IndexName"]], index, "KeySchema", "Projection")


def test_events_reach_the_topic_by_the_rules_of_the_template(
    stack: Deployed, template: Stack
) -> None:
    events = stack.aws.client("events")
    for name, asked in of_type(template.resources, "AWS::Events::Rule").items():
        where = {"EventBusName": asked["EventBusName"]}
        rules = events.list_rules(**where)["Rules"]
        [rule] = [each for each in rules if each["Name"] == stack.names[name]]
        assert json.loads(rule["EventPattern"]) == asked["EventPattern"]
        assert rule["State"] == "ENABLED"
        targets = events.list_targets_by_rule(Rule=stack.names[name], **where)["Targets"]
        assert targets == asked["Targets"]
