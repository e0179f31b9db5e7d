"""A deployed stack as its owner reaches it: found by its outputs, with the caller's credentials.

Everything is made when it is first asked for, so that each command needs permissions for what it
does and no more. Nothing here calls the provider: the stack's functions do.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from obstore.auth.boto3 import Boto3CredentialProvider

from shared.adapters.anthropic_api import AnthropicApi
from shared.adapters.builtin import catalog
from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.s3_blobs import S3Blobs, s3_blobs
from shared.app.deps import Deps, Emit, say_nothing
from shared.domain.policy import Policy
from shared.wiring.ambient import new_batch_id, utc_now
from shared.wiring.aws import INDEX_LAG, JobRecipes
from shared.wiring.conversion import converter

CALLS = 32
"""At once, of one client."""

_PATIENT = Config(
    retries={"mode": "standard", "max_attempts": 4},
    max_pool_connections=CALLS,
    connect_timeout=5,
    read_timeout=30,
)
_S3_RETRIES = 4


class StackUnusable(Exception):
    """No stack that can be worked with; the message is one line with what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What infra/template.yaml puts out under `OUTPUTS`."""

    input_bucket: str
    output_bucket: str
    table: str
    upload_queue: str
    collect_queue: str
    upload_dead_letters: str
    collect_dead_letters: str


OUTPUTS = {
    "input_bucket": "InputBucketName",
    "output_bucket": "OutputBucketName",
    "table": "TableName",
    "upload_queue": "UploadQueueUrl",
    "collect_queue": "CollectQueueUrl",
    "upload_dead_letters": "UploadDeadLettersUrl",
    "collect_dead_letters": "CollectDeadLettersUrl",
}
"""The template's names, in the template's `Outputs`."""


class Stack:
    """The parts of one stack. Raises botocore's errors, and those of the adapters."""

    def __init__(self, name: str, resources: ExitStack) -> None:
        # botocore reads AWS_DEFAULT_REGION only; all other SDKs read this.
        self.session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        self._resources = resources
        self.name = name
        self.outputs = self._found()

    def client(self, service: str) -> Any:
        """boto3's client, closed with the stack."""
        try:
            client = self.session.client(service, config=_PATIENT)
        except ValueError as error:  # an endpoint or a region that is no name of one
            raise StackUnusable(f"AWS can't be asked: {error}") from error
        self._resources.callback(client.close)
        return client

    @cached_property
    def s3(self) -> Any:
        """boto3's client for S3."""
        return self.client("s3")

    @cached_property
    def sqs(self) -> Any:
        """boto3's client for SQS."""
        return self.client("sqs")

    @cached_property
    def documents(self) -> S3Blobs:
        """The input bucket."""
        return self.bucket(self.outputs.input_bucket)

    @cached_property
    def reports(self) -> S3Blobs:
        """The output bucket."""
        return self.bucket(self.outputs.output_bucket)

    @cached_property
    def store(self) -> DynamoStore:
        """The table."""
        store = DynamoStore(self.client("dynamodb"), self.outputs.table)
        self._resources.callback(store.close)
        return store

    def bucket(self, name: str) -> S3Blobs:
        """Any bucket."""
        credentials = Boto3CredentialProvider(self.session)
        return s3_blobs(name, client=self.s3, retries=_S3_RETRIES, credentials=credentials)

    def deps(self, emit: Emit = say_nothing) -> Deps:
        """What use cases that don't call the provider are given: its key stays in the stack."""
        return Deps(
            documents=self.documents,
            reports=self.reports,
            store=self.store,
            api=AnthropicApi(api_key=None),
            recipe=JobRecipes(self.documents),
            catalog=catalog(),
            clock=utc_now,
            new_batch_id=new_batch_id,
            spool_dir=Path(tempfile.gettempdir()),
            policy=Policy(index_lag=INDEX_LAG, reports_by_job=True),
            converter=converter(),
            emit=emit,
        )

    def _found(self) -> Outputs:
        if not self.name.strip():  # CloudFormation would list every stack there is
            raise StackUnusable("the stack's name is empty: is a variable not set?")
        answer = self.client("cloudformation").describe_stacks(StackName=self.name)
        named = (
            each for each in answer["Stacks"] if self.name in (each["StackName"], each["StackId"])
        )
        found = next(named, None)
        if found is None:
            raise StackUnusable(f"CloudFormation has no answer about the stack {self.name}")
        said = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
        missing = [key for key in OUTPUTS.values() if not said.get(key)]
        if missing:
            raise StackUnusable(
                f"the stack {self.name} has no output {', '.join(missing)}: it is still being "
                "made, is of an older docmill (`sam build && sam deploy` mends that), or is none"
            )
        return Outputs(**{each.name: said[OUTPUTS[each.name]] for each in fields(Outputs)})


@contextmanager
def open_stack(name: str) -> Iterator[Stack]:
    """The stack of this name; its connections are closed in the end. Raises StackUnusable."""
    with ExitStack() as resources:
        yield Stack(name, resources)
