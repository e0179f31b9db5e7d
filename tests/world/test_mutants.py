"""That the worlds can fail: with any protection taken away they do."""

from collections.abc import Callable

import pytest

from tests.world.mutants import MUTANTS, without
from tests.world.runner import lived
from tests.world.world import World

_ENOUGH = 1_000
_OFF = frozenset({"intent before effect"})
"""The rule that would see a late intent at sight: what it protects from must be seen as well."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_a_protection_the_worlds_notice(
    mutant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    with without(mutant):
        broken = (lived(World(seed, off=_OFF)).broken for seed in range(_ENOUGH))
        assert next(filter(None, broken), None), mutant.__doc__
