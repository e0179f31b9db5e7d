"""AWS for tests: moto in this process, and what it needs from the template that is deployed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from tests.moto_statements import statements_understood

TEMPLATE = Path(__file__).parent.parent / "infra" / "template.yaml"
REGION = "eu-central-1"

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_dynamo_lock = threading.RLock()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, read as their long ones."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
        case _:
            raise TypeError(f"no short form is written as {node}")
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


def template() -> dict[str, Any]:
    """infra/template.yaml as it is written, with short forms made long."""
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)
    return loaded


@contextmanager
def environment() -> Iterator[None]:
    """Credentials that are nobody's, and a region."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@contextmanager
def mocked_aws() -> Iterator[None]:
    """moto, empty, one DynamoDB call at a time: without that it loses writes of threads."""
    plain = BotocoreStubber.process_request

    def one_at_a_time(stubber: BotocoreStubber, request: AWSPreparedRequest) -> Any:
        target = request.headers.get("X-Amz-Target", "")
        if not (target.decode() if isinstance(target, bytes) else target).startswith("DynamoDB_"):
            return plain(stubber, request)
        with _dynamo_lock:
            return plain(stubber, request)

    with environment(), statements_understood(), pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setattr(BotocoreStubber, "process_request", one_at_a_time)
        yield


def dynamo_client(*, threads: int = 16, url: str | None = None) -> Any:
    """A client whose failures show at once, of moto unless there is a URL."""
    quick = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=2,
        read_timeout=10,
        max_pool_connections=threads,
    )
    return boto3.client("dynamodb", config=quick, endpoint_url=url)


def table_from_template(client: Any, name: str) -> None:
    """The table that would be deployed."""
    [table] = [
        resource["Properties"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    ]
    client.create_table(
        TableName=name,
        **{
            key: table[key]
            for key in (
                "AttributeDefinitions",
                "BillingMode",
                "GlobalSecondaryIndexes",
                "KeySchema",
            )
        },
    )
