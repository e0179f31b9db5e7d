"""The AWS home, for functions that are killed."""

from collections.abc import Iterator

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import Running, running_simulator
from tests.faults.functions import Functions, functions
from tests.handlers.aws_home import Cloud, cloud, moto_server


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def provider_api() -> Iterator[Running]:
    """Answers of 40 KB, so that results don't come in one piece."""
    settings = SimulatorSettings(duration_s=0.2, output_bytes=40_000)
    with running_simulator(seed=3, settings=settings) as running:
        yield running


@pytest.fixture
def aws(endpoint: str, provider_api: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    provider_api.simulator.batches.clear()
    provider_api.simulator.faults.script.clear()
    monkeypatch.setenv("DOCMILL_DOUBT_GRACE_S", "0.2")
    with cloud(endpoint, provider_api) as found:
        yield found


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    with functions(tmp_path_factory.mktemp("functions")) as found:
        yield found
