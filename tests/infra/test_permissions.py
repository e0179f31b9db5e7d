"""Each function's role against what a run makes the function do: neither short nor wide."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from shared.wiring.aws import home
from tests.handlers.aws_home import cloud, moto_server
from tests.infra.calls import Asked, Calls, noted_calls
from tests.infra.resolved import ACCOUNT, Stack
from tests.infra.scenario import live_through_everything
from tests.infra.translated import listed

FUNCTIONS = ("Collect", "Intake", "Poll", "Reconcile", "Submit")

LAMBDAS_OWN = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""What Lambda does by a function's role without its code."""

NOT_IN_THE_RUN = {
    ("Collect", "s3:AbortMultipartUpload"): "a report above 16 MB whose upload fails",
    ("Collect", "s3:ListBucket"): "tells a recipe that isn't there from one that may not be read",
    ("Reconcile", "s3:AbortMultipartUpload"): "16 MB of failures or rows whose upload fails",
    ("Reconcile", "s3:ListBucket"): "tells a summary that isn't there from one it may not read",
    ("Submit", "s3:AbortMultipartUpload"): "a copied report above 16 MB whose upload fails",
    ("Submit", "s3:ListBucket"): "tells a recipe that isn't there from one that may not be read",
}


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    settings = SimulatorSettings(duration_s=0.05)
    with (
        noted_calls() as noted,
        moto_server() as endpoint,
        running_simulator(settings=settings) as provider,
        cloud(endpoint, provider) as aws,
        pytest.MonkeyPatch.context() as patch,
    ):
        name = home().settings.table
        boto3.client("secretsmanager").create_secret(Name=f"{name}-key", SecretString="dummy")
        boto3.client("events").create_event_bus(Name=f"{name}-bus")
        patch.delenv("ANTHROPIC_API_KEY")
        patch.setenv("DOCMILL_API_KEY_SECRET", f"{name}-key")
        patch.setenv("DOCMILL_DOUBT_GRACE_S", "0")
        patch.setenv("DOCMILL_EVENT_BUS", f"{name}-bus")
        patch.setenv("DOCMILL_STACK", "docmill")
        patch.setenv("DOCMILL_SUBMIT_FUNCTION", f"{name}-submit")
        home.cache_clear()
        live_through_everything(aws, noted, patch)
        yield noted


def allowed(stack: Stack, function: str) -> set[Asked]:
    """What its role lets a function do, Lambda's own part aside."""
    role = stack.resources[f"{function}Role"]["Properties"]
    assert role["ManagedPolicyArns"] == [stack.arn("Basics")]
    basics = stack.resources["Basics"]["Properties"]["PolicyDocument"]["Statement"]
    assert {action for each in basics for action in listed(each["Action"])} <= LAMBDAS_OWN
    [policy] = role["Policies"]
    pairs: list[tuple[Any, Any]] = [
        (action, resource)
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    assert len(pairs) == len(set(pairs))
    return {Asked(action, resource) for action, resource in pairs if action not in LAMBDAS_OWN}


def in_the_stack(stack: Stack, asked: Asked) -> Asked:
    """The same call to the stack's resource instead of the test's."""
    _, _, rest = asked.resource.partition("docmill-")
    use = rest[12:]
    match asked.action.partition(":")[0]:
        case "s3":
            bucket = "InputBucket" if use.startswith("-input") else "OutputBucket"
            _, slash, key = use.partition("/")
            arn = stack.arn(bucket) + slash + key
        case "sqs":
            arn = stack.arn("UploadQueue" if use == "-uploads" else "CollectQueue")
        case "dynamodb":
            arn = stack.arn("Table") + use
        case "events":
            arn = stack.arn("Bus")
        case "lambda":
            arn = stack.arn("Submit")
        case _:
            arn = stack.arn("ApiKeySecret")
    return Asked(asked.action, arn)


def covers(policy: Asked, asked: Asked) -> bool:
    """Whether it is allowed by that part of a policy."""
    return policy.action == asked.action and fnmatchcase(asked.resource, policy.resource)


def test_every_function_may_do_what_it_does_and_no_more(calls: Calls) -> None:
    stack = Stack()
    for function in FUNCTIONS:
        may = allowed(stack, function)
        does = {in_the_stack(stack, asked) for asked in calls.by_function[function]}
        short = {asked for asked in does if not any(covers(policy, asked) for policy in may)}
        assert short == set(), f"the policy of {function} is short"
        rare = {action for name, action in NOT_IN_THE_RUN if name == function}
        wide = {policy.action for policy in may if not any(covers(policy, each) for each in does)}
        assert wide == rare, f"the policy of {function} is wide"


@pytest.mark.parametrize(
    ("function", "queue"), [("Intake", "UploadQueue"), ("Collect", "CollectQueue")]
)
def test_a_function_may_receive_from_its_own_queue_only(function: str, queue: str) -> None:
    stack = Stack()
    [policy] = stack.resources[f"{function}Role"]["Properties"]["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        if "sqs:ReceiveMessage" in listed(statement["Action"]):
            assert statement["Resource"] == stack.arn(queue)
            break
    else:
        pytest.fail("it may not receive")


def test_timers_may_start_their_functions_and_nothing_else() -> None:
    stack = Stack()
    [policy] = stack.resources["TimerRole"]["Properties"]["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == [stack.arn(name) for name in ("Submit", "Poll", "Reconcile")]
    assert ACCOUNT in statement["Resource"][0]
