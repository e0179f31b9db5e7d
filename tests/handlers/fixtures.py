"""The AWS home as fixtures, with a provider whose batches end at once."""

from collections.abc import Iterator

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from tests.handlers.aws_home import Cloud, cloud, moto_server


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def aws(endpoint: str) -> Iterator[Cloud]:
    settings = SimulatorSettings(duration_s=0)
    with running_simulator(settings=settings) as provider, cloud(endpoint, provider) as found:
        yield found
