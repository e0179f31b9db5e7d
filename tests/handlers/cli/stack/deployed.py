"""A stack that CloudFormation knows, made of what `tests.handlers.aws_home` stands up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import boto3

from shared.wiring.stack import OUTPUTS
from tests.handlers.aws_home import Cloud
from tests.handlers.cli.command import Docmill, Ended

RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: 1000\nmax_wait: 1h\n---\n{{ document.text }}\n"


@dataclass(slots=True, kw_only=True)
class Deployed:
    """A stack by its name, and the command that works with it."""

    name: str
    cloud: Cloud
    dead_uploads: str
    dead_collects: str
    docmill: Docmill

    def __call__(self, *words: object, **environment: str) -> Ended:
        """Run a command on the stack, in this process."""
        return self.docmill(*words, "--stack", self.name, **environment)

    def inputs(self, prefix: str = "") -> dict[str, str]:
        """What lies in the input bucket: etags by key."""
        s3 = self.cloud.s3
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.cloud.input, Prefix=prefix)
        return {each["Key"]: each["ETag"] for page in pages for each in page.get("Contents", ())}

    def versions(self, bucket: str) -> int:
        """How many objects were ever put into a versioned bucket."""
        pages = self.cloud.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        return sum(len(page.get("Versions", ())) for page in pages)

    def waiting(self, queue: str) -> int:
        """How many messages a queue shows."""
        name = "ApproximateNumberOfMessages"
        found = self.cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])
        return int(found["Attributes"][name])


@contextmanager
def deployed(cloud: Cloud, endpoint: str, table: str) -> Iterator[Deployed]:
    """The stack, with queues of dead letters as the template has them."""
    name = f"stack-{uuid4().hex[:8]}"
    dead = [
        cloud.sqs.create_queue(QueueName=f"{name}-dead-{use}")["QueueUrl"]
        for use in ("uploads", "collects")
    ]
    for queue, letters in zip((cloud.uploads, cloud.collects), dead, strict=True):
        asked = cloud.sqs.get_queue_attributes(QueueUrl=letters, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": 5}
        cloud.sqs.set_queue_attributes(
            QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)}
        )
    cloud.sqs.purge_queue(QueueUrl=cloud.uploads)  # S3's test event
    cloud.s3.put_bucket_versioning(
        Bucket=cloud.input, VersioningConfiguration={"Status": "Enabled"}
    )
    values = {
        "input_bucket": cloud.input,
        "output_bucket": cloud.output,
        "table": table,
        "upload_queue": cloud.uploads,
        "collect_queue": cloud.collects,
        "upload_dead_letters": dead[0],
        "collect_dead_letters": dead[1],
    }
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {OUTPUTS[key]: {"Value": value} for key, value in values.items()},
    }
    formation = boto3.client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    yield Deployed(
        name=name,
        cloud=cloud,
        dead_uploads=dead[0],
        dead_collects=dead[1],
        docmill=Docmill({"AWS_ENDPOINT_URL": endpoint}),
    )
