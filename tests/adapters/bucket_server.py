"""moto over HTTP: obstore speaks to nothing that is patched into the process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEID",
    "AWS_SECRET_ACCESS_KEY": "example-secret-key",
    "AWS_SESSION_TOKEN": "example-session-token",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@contextmanager
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        yield


@contextmanager
def s3_client(endpoint: str) -> Iterator[Any]:
    with credentials():
        quick = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
        client = boto3.client("s3", endpoint_url=endpoint, config=quick)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def bucket_server() -> Iterator[Any]:
    """A boto3 client of a server of its own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with s3_client(f"http://{host}:{port}") as client:
            yield client
    finally:
        server.stop()


def new_bucket(client: Any) -> str:
    """An empty bucket of a new name, so that tests on one server don't meet."""
    name = f"docmill-{uuid4().hex}"
    region = {"LocationConstraint": client.meta.region_name}
    client.create_bucket(Bucket=name, CreateBucketConfiguration=region)
    return name
