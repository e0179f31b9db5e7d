"""Worlds on moto's DynamoDB and S3: the adapters that are deployed, one call at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.s3_blobs import s3_blobs
from tests.adapters.bucket_server import bucket_server, new_bucket
from tests.aws import dynamo_client, mocked_aws, table_from_template
from tests.world.runner import Result, lived
from tests.world.world import Home, World

STEPS = 150
"""A call takes some milliseconds here, so these worlds are calm sooner."""

MakeHome = Callable[[Callable[[], datetime]], Home]


@contextmanager
def homes() -> Iterator[MakeHome]:
    """Makes homes with a table and buckets of their own."""
    with ExitStack() as stack:
        s3: Any = stack.enter_context(bucket_server())
        stack.enter_context(mocked_aws())
        client = dynamo_client(threads=1)
        stack.callback(client.close)

        def made(_: Callable[[], datetime]) -> Home:
            table = f"world-{uuid4().hex}"
            table_from_template(client, table)
            return Home(
                store=DynamoStore(client, table, threads=1),
                documents=s3_blobs(new_bucket(s3), client=s3),
                reports=s3_blobs(new_bucket(s3), client=s3),
            )

        yield made


def run_seeds_on_aws(seeds: Iterable[int]) -> Result:
    """Worlds one after the other."""
    total = Result()
    with homes() as make_home:
        for seed in seeds:
            total.add(lived(World(seed, make_home=make_home, most_steps=STEPS)))
    return total
