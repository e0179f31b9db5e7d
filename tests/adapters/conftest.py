"""A second DynamoDB, by other hands than moto's: MiniStack's, in a process of its own.

moto answers one call at a time here, so it can't tell what happens when calls cross, and what it
takes for PartiQL is the tests' own.
"""

from collections.abc import Iterator

import pytest

from tests.stack.ministack import VENV, Ministack, ministack

second_dynamo_wanted = pytest.mark.skipif(
    not (VENV / "ministack" / "done").exists(), reason="`make races` has not been run"
)


@pytest.fixture(scope="session")
def second_dynamo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """For tests marked with `second_dynamo_wanted`."""
    with ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server
