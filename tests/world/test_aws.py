"""A few worlds on moto's DynamoDB and S3: the same rules over the adapters that are deployed."""

from collections.abc import Iterator

import pytest

from tests.world.on_aws import STEPS, MakeHome, homes
from tests.world.runner import lived
from tests.world.world import World

_SEEDS = 12


@pytest.fixture(scope="module")
def make_home() -> Iterator[MakeHome]:
    with homes() as make_home:
        yield make_home


@pytest.mark.parametrize("seed", range(_SEEDS))
def test_every_rule_holds_on_dynamodb_and_s3(seed: int, make_home: MakeHome) -> None:
    result = lived(World(seed, make_home=make_home, most_steps=STEPS))
    assert not result.broken, result.broken
    assert result.requests
