"""What goes into a package, as far as it can be told without building one."""

import re
from pathlib import Path

import pytest

from infra.package import LOCKS, SERVICES, copy_code
from tests.infra.resolved import Stack
from tests.infra.translated import listed

ROOT = Path(__file__).parents[2]


def locked(lock: Path) -> dict[str, str]:
    found = re.findall(
        r"^([a-z0-9._-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(found)


@pytest.mark.parametrize("lock", sorted(set(LOCKS.values())))
def test_functions_have_the_versions_that_the_command_line_has(lock: str) -> None:
    deployed = locked(ROOT / "infra" / lock)
    everything = locked(ROOT / "requirements.lock")
    assert deployed.items() <= everything.items()
    assert ("anthropic" in deployed) == (lock == "functions.lock")


@pytest.mark.parametrize("function", sorted(SERVICES))
def test_a_package_describes_the_services_that_its_role_allows(function: str) -> None:
    [policy] = Stack().resources[f"{function}Role"]["Properties"]["Policies"]
    allowed = {
        action.partition(":")[0]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    assert allowed | {"s3"} == SERVICES[function]  # the home makes a client of S3 whoever asks


@pytest.mark.parametrize("function", sorted(SERVICES))
def test_a_package_has_one_handler_and_nothing_that_only_a_laptop_needs(
    tmp_path: Path, function: str
) -> None:
    copy_code(function, tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")}
    handlers = {name for name in names if name.startswith("handlers/")}
    own = f"handlers/{function.lower()}.py"
    assert handlers == {"handlers/__init__.py", "handlers/events.py", own}
    assert not [name for name in names if "simulator" in name or "sqlite" in name]
    assert not list(tmp_path.rglob("__pycache__"))
    assert (tmp_path / "shared" / "data" / "models.toml").exists()
    assert (tmp_path / "shared" / "recipes" / "project-analysis.md").exists()
