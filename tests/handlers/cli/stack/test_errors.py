"""What can go wrong with AWS is one line: what, where, what to do."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from tests.handlers.aws_home import Cloud
from tests.handlers.cli.command import Docmill
from tests.handlers.cli.stack.deployed import Deployed

NO_FILES = {
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "AWS_CONFIG_FILE": "/nonexistent/config",
}


DENIED = (
    "User: arn:aws:iam::1:user/x is not authorized to perform: cloudformation:DescribeStacks on "
    "resource: arn:aws:cf/*"
)


def test_a_stack_that_is_not_there(stack: Deployed) -> None:
    said = stack.docmill("status", "--stack", "nowhere").said
    assert "there is no stack nowhere" in said
    assert "AWS_REGION" in said


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_no_stack(stack: Deployed, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.md").write_text("# A")
    commands = (
        *(("status",), ("retry",), ("cancel",), ("redrive",), ("reports", "list")),
        *(("drop", tmp_path / "a.md"), ("backfill", "s3://some-bucket/a", "--job", "review")),
    )
    for words in commands:
        done = stack.docmill(*words, "--stack", name)
        assert done.status == 2
        assert "the stack's name is empty" in done.said
    assert stack.inputs() == {}


def test_another_stack_than_the_one_asked_for_is_left_alone(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stack.name
    found = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    assert stack.docmill("status", "--stack", found["StackId"]).status == 3
    body = (
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>"
        f"<StackName>{name}</StackName><StackId>{found['StackId']}</StackId>"
        "<CreationTime>2026-01-01T00:00:00Z</CreationTime>"
        "<StackStatus>CREATE_COMPLETE</StackStatus></member></Stacks></DescribeStacksResult>"
        "</DescribeStacksResponse>"
    )
    answering(monkeypatch, to_formation, "200 OK", body)
    assert "no answer about the stack other" in stack.docmill("status", "--stack", "other").said


def test_a_stack_of_an_older_docmill(stack: Deployed) -> None:
    template = '{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": {}}'
    boto3.client("cloudformation").create_stack(StackName="older", TemplateBody=template)
    said = stack.docmill("redrive", "--stack", "older").said
    assert "has no output InputBucketName" in said
    assert "sam deploy" in said


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "no AWS credentials found"),
        ("AWS_SECRET_ACCESS_KEY", "credentials can't be used"),
        ("AWS_DEFAULT_REGION", "no AWS region is set"),
    ],
)
def test_no_credentials_or_no_region(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch, missing: str, said: str
) -> None:
    monkeypatch.delenv(missing)
    assert said in stack("status", **NO_FILES).said


def test_a_profile_or_an_address_that_is_none(stack: Deployed) -> None:
    assert "can't be used" in stack("status", AWS_PROFILE="nobody").said
    assert "Invalid endpoint" in stack("status", AWS_ENDPOINT_URL="nonsense").said


def test_what_answers_is_not_aws(stack: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, to_formation, "200 OK", "<!doctype html><title>Log in</title>")
    assert "what answered isn't AWS" in stack("status").said


def test_the_region_may_be_said_as_other_sdks_have_it(stack: Deployed) -> None:
    assert stack("status", AWS_DEFAULT_REGION="", AWS_REGION="eu-central-1").status == 3
    said = stack("status", AWS_REGION="us-east-1").said
    assert "there is no stack" in said


def test_nobody_answers(stack: Deployed) -> None:
    began = time.monotonic()
    said = stack("status", AWS_ENDPOINT_URL="http://127.0.0.1:9").said
    assert "AWS can't be reached" in said
    assert "run the same command again" in said
    assert time.monotonic() - began < 60


def answering(
    monkeypatch: pytest.MonkeyPatch, when: Callable[[dict[str, Any]], bool], status: str, body: str
) -> None:
    plain = DomainDispatcherApplication.__call__

    def refusing(app: DomainDispatcherApplication, environ: Any, start_response: Any) -> Any:
        if not when(environ):
            return plain(app, environ, start_response)
        kind = "application/x-amz-json-1.0" if body.startswith("{") else "application/xml"
        start_response(status, [("Content-Length", str(len(body))), ("Content-Type", kind)])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body.encode()]

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", refusing)


def xml(code: str, message: str) -> str:
    return f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"


def to_formation(environ: dict[str, Any]) -> bool:
    return "cloudformation" in environ.get("HTTP_AUTHORIZATION", "")


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("AccessDenied", DENIED, "access denied: cloudformation:DescribeStacks on arn:aws:cf/* is"),
        ("ExpiredToken", "expired", "has expired (ExpiredToken): log in again"),
        ("InvalidClientTokenId", "invalid", "doesn't know these credentials"),
    ],
)
def test_what_cloudformation_refuses(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch, code: str, message: str, said: str
) -> None:
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
        f"<Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
    answering(monkeypatch, to_formation, "403 Forbidden", body)
    assert said in stack("status").said


def putting(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "PUT" and "/s3/" in environ.get("HTTP_AUTHORIZATION", "")


def listing(environ: dict[str, Any]) -> bool:
    return "list-type=2" in environ["QUERY_STRING"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDenied", "access denied: s3:PutObject on s3://{bucket} is needed"),
        ("ExpiredToken", "the AWS session has expired (ExpiredToken): log in again"),
        ("NoSuchBucket", "there is no bucket {bucket}; was it deleted?"),
    ],
)
def test_what_s3_refuses_in_the_middle_of_a_drop(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, said: str
) -> None:
    (tmp_path / "a b.md").write_text("# A")
    status = {"NoSuchBucket": "404 Not Found"}.get(code, "403 Forbidden")
    answering(monkeypatch, putting, status, xml(code, "no"))
    done = stack("drop", tmp_path / "a b.md")
    assert done.status == 2
    assert done.said.startswith(said.format(bucket=stack.cloud.input))


def test_what_s3_does_not_list(stack: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, listing, "403 Forbidden", xml("AccessDenied", "Access Denied"))
    said = stack("reports", "list").said
    assert said == f"access denied: s3:ListBucket on s3://{stack.cloud.output} is needed"
    assert stack("status").said == "access denied: s3:ListBucket is needed"


def test_what_dynamodb_refuses(stack: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.cloud.upload({"review/a.md": b"# A"})
    body = (
        '{"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "User: x is not '
        "authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:r:1:table/t because "
        'no policy allows it"}'
    )

    def to_dynamo(environ: dict[str, Any]) -> bool:
        return str(environ.get("HTTP_X_AMZ_TARGET", "")).startswith("DynamoDB")

    answering(monkeypatch, to_dynamo, "400 Bad Request", body)
    said = stack("status").said
    assert said == "access denied: dynamodb:GetItem on arn:aws:dynamodb:r:1:table/t is needed"


def test_a_queue_and_a_bucket_that_are_gone(stack: Deployed, aws: Cloud) -> None:
    aws.sqs.delete_queue(QueueUrl=stack.dead_uploads)
    assert "a queue of the stack" in stack("redrive").said
    aws.s3.delete_bucket(Bucket=aws.output)
    assert f"there is no bucket {aws.output}" in stack("reports", "list").said
    with pytest.raises(ClientError):
        aws.s3.head_bucket(Bucket=aws.output)


def test_other_commands_do_not_import_the_sdk_of_aws() -> None:
    heavy = "{'boto3', 'botocore', 'obstore'}"
    code = f"import sys; from handlers.cli import main; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "--stack" in Docmill({})("drop", "--help").out
