"""A deployed stack for each test, on one server for all of them."""

import os
from collections.abc import Iterator

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from tests.handlers.aws_home import Cloud, cloud
from tests.handlers.cli.stack.deployed import Deployed, deployed


@pytest.fixture
def simulator() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=0.2)) as running:
        yield running


@pytest.fixture
def aws(endpoint: str, simulator: Running) -> Iterator[Cloud]:
    with cloud(endpoint, simulator) as found:
        yield found


@pytest.fixture
def stack(aws: Cloud, endpoint: str) -> Iterator[Deployed]:
    with deployed(aws, endpoint, os.environ["DOCMILL_TABLE"]) as found:
        yield found
