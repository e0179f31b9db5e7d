"""A provider that is quick, and a command that knows it."""

from collections.abc import Iterator

import pytest

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from tests.handlers.cli.command import Docmill, Provider, watch


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """Batches take 0.2 seconds."""
    with running_simulator(seed=3, settings=SimulatorSettings(duration_s=0.2)) as running:
        found = Provider(running)
        watch(found, monkeypatch)
        yield found


@pytest.fixture
def docmill(provider: Provider) -> Docmill:
    """The command, with the provider's address in its environment; it asks about no price."""
    return Docmill(
        {
            "ANTHROPIC_API_KEY": "test",
            "ANTHROPIC_BASE_URL": provider.running.base_url,
            "DOCMILL_DOUBT_GRACE_S": "0.3",
            "DOCMILL_ASK_ABOVE": "1000000",
        }
    )
