"""What a function asks of AWS, as IAM sees it: every request that reaches moto."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_TARGETS = {
    "AWSEvents": "events",
    "AmazonSQS": "sqs",
    "DynamoDB_20120810": "dynamodb",
    "secretsmanager": "secretsmanager",
}


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """An action, and the name of what it is done to: a bucket, or an object in it, a queue, a table
    or its index."""

    action: str
    resource: str


@dataclass(slots=True)
class Calls:
    """Calls by the function that was `running` when they came."""

    running: str = ""
    by_function: defaultdict[str, set[Asked]] = field(default_factory=lambda: defaultdict(set))

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        """What comes meanwhile is this function's. Not for several at once."""
        self.running = function
        try:
            yield
        finally:
            self.running = ""

    def note(self, environ: dict[str, Any]) -> None:
        """Read one request, which can still be read afterwards."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        self.by_function[self.running].update(asked(environ, body))


@contextmanager
def noted_calls() -> Iterator[Calls]:
    """Calls to every moto server of this process; one to a Lambda function is only noted."""
    calls = Calls()
    plain = DomainDispatcherApplication.__call__

    def noting(app: DomainDispatcherApplication, environ: Any, start_response: Any) -> Any:
        if calls.running:
            calls.note(environ)
        if _INVOKE.fullmatch(environ["PATH_INFO"]):
            start_response("202 Accepted", [("Content-Length", "0")])
            return [b""]
        return plain(app, environ, start_response)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DomainDispatcherApplication, "__call__", noting)
        yield calls


def asked(environ: dict[str, Any], body: bytes) -> set[Asked]:
    """What one request asks for."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        service, _, operation = target.partition(".")
        return _json_call(_TARGETS[service], operation, json.loads(body))
    path = unquote(environ["PATH_INFO"])
    if invoked := _INVOKE.fullmatch(path):
        return {Asked("lambda:InvokeFunction", invoked[1])}
    bucket, _, key = path.removeprefix("/").partition("/")
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    action = _s3_action(environ["REQUEST_METHOD"], key, query.keys())
    return {Asked(action, f"{bucket}/{key}" if key else bucket)}


def _json_call(service: str, operation: str, said: dict[str, Any]) -> set[Asked]:
    action = f"{service}:{operation}"
    match service:
        case "sqs":
            return {Asked(action, said["QueueUrl"].rsplit("/", 1)[-1])}
        case "events":
            return {Asked(action, entry["EventBusName"]) for entry in said["Entries"]}
        case "secretsmanager":
            return {Asked(action, said["SecretId"])}
        case _ if "Statements" in said:
            return {_statement(each["Statement"]) for each in said["Statements"]}
        case _:
            tables = said["RequestItems"] if "RequestItems" in said else [said["TableName"]]
            index = f"/index/{said['IndexName']}" if "IndexName" in said else ""
            return {Asked(action, table + index) for table in tables}


def _statement(said: str) -> Asked:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html"""
    verb, table = said.split(" ", 1)[0], said.split('"', 2)[1]
    return Asked(f"dynamodb:PartiQL{verb.capitalize()}", table)


def _s3_action(method: str, key: str, query: Any) -> str:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html"""
    if not key:
        return {"GET": "s3:ListBucket", "HEAD": "s3:ListBucket"}.get(method, f"s3:{method}")
    if method == "DELETE":
        return "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"
    return "s3:PutObject" if method in {"PUT", "POST"} else "s3:GetObject"
