import hashlib
import os
import subprocess
import sys

import pytest

from tests.world.runner import run_seeds, told
from tests.world.table import table

_SEEDS = 500
_CHUNK = 25


@pytest.mark.parametrize("first", range(0, _SEEDS, _CHUNK))
def test_every_rule_holds_in_every_world(first: int) -> None:
    result = run_seeds(range(first, first + _CHUNK))
    assert not result.broken, table(result, 1.0)


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    program = (
        "import hashlib; from tests.world.runner import told;"
        "print(*(hashlib.sha256(told(s)[0].encode()).hexdigest() for s in range(6)))"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        here = [hashlib.sha256(told(seed)[0].encode()).hexdigest() for seed in range(6)]
        assert done.stdout.split() == here


def test_a_story_is_told_step_by_step() -> None:
    story, result = told(1)
    assert "Every rule held." in story
    assert result.seeds == 1
    for word in ("people", "intake-1", "store.swap_documents", "api.create", "world", "B1", "P1"):
        assert word in story
