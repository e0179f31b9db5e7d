"""Sending several groups side by side."""

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import pytest

from shared.app.submit import submit
from tests.app.home import Home


def test_groups_that_fail_at_once_fail_as_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for number in range(10):
        home.write(f"group {number}/a.txt", "A contract.")
    home.see()
    full = replace(home.deps, spool_dir=tmp_path / "not there")
    left: list[object] = []

    async def fail() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, facts: left.append(facts))
        with pytest.raises(FileNotFoundError):
            await submit(full)
        gc.collect()

    asyncio.run(fail())
    assert left == [], "exceptions that nobody looked at, which asyncio prints with their traces"
    asyncio.run(home.finish())
    assert home.requested() == 10
