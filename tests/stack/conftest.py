"""One stack for all tests of this folder, as deploying it takes a while."""

import os
from collections.abc import Iterator

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from tests.stack.deployed import Deployed
from tests.stack.ministack import ministack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Two invocations of a kind at once: more only compete for this machine. Answers have 4 KB."""
    if "DOCMILL_STACK_VENVS" not in os.environ:
        pytest.skip("takes minutes: `make stack` runs it")
    folder = tmp_path_factory.mktemp("stack")
    settings = SimulatorSettings(duration_s=5, output_bytes=4_000)
    with running_simulator(settings=settings) as provider, ministack(folder) as aws:
        parameters = {
            "ApiBaseUrl": provider.base_url,
            "PollIntervalSeconds": 10,
            "DoubtGraceSeconds": 1,
            "IntakeConcurrency": 2,
            "CollectConcurrency": 2,
        }
        out = aws.deploy(parameters)
        aws.client("secretsmanager").put_secret_value(
            SecretId=out["ApiKeySecretArn"], SecretString="dummy"
        )
        yield Deployed(aws=aws, provider=provider, parameters=parameters, out=out)
