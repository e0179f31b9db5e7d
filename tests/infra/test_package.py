"""What goes into a package, as far as it can be told without building one."""

import re
import shutil
from pathlib import Path

import pytest

from infra import package as packages
from infra.package import LOCKS, SERVICES, copy_code, package
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
    assert ("anthropic" in deployed) == (lock != "intake.lock")
    assert ("pypdfium2" in deployed) == (lock == "submit.lock")


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


class Pip:
    """What installing would leave behind, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False

    def __call__(self, lock: Path, target: Path, *, here: bool) -> None:
        self.asked.append(lock.name)
        for service in ("s3", "ec2"):
            (target / "botocore" / "data" / service).mkdir(parents=True)
        (target / "wheel.py").write_text("whole = True\n")
        if self.fails:
            raise OSError("the index went away")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    found = Pip()
    monkeypatch.setattr(packages, "_install", found)
    monkeypatch.setattr(packages, "KEPT", tmp_path / "kept")
    return found


def test_what_functions_share_is_installed_once_and_each_has_it(tmp_path: Path, pip: Pip) -> None:
    for name in sorted(SERVICES):
        package(name, tmp_path / name, here=True)
    assert sorted(pip.asked) == sorted(set(LOCKS.values()))
    for name in SERVICES:
        found = tmp_path / name
        assert (found / "wheel.py").read_text() == "whole = True\n"
        assert list((found / "__pycache__").glob("wheel.*.pyc"))
        assert list((found / "shared" / "__pycache__").glob("__init__.*.pyc"))
        data = found / "botocore" / "data"
        assert {path.name for path in data.iterdir()} == {"s3"}
    shutil.rmtree(tmp_path / "Poll")
    package("Poll", tmp_path / "Poll", here=True)
    assert (tmp_path / "Poll" / "wheel.py").exists()
    assert len(pip.asked) == len(set(LOCKS.values()))


def test_an_installation_that_broke_off_is_begun_anew(tmp_path: Path, pip: Pip) -> None:
    pip.fails = True
    with pytest.raises(OSError, match="went away"):
        package("Poll", tmp_path / "Poll", here=True)
    pip.fails = False
    package("Poll", tmp_path / "Poll", here=True)
    assert len(pip.asked) == 2
    assert (tmp_path / "Poll" / "wheel.py").exists()


def test_another_lock_is_installed_anew(
    tmp_path: Path, pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    package("Poll", tmp_path / "Poll", here=True)
    monkeypatch.setattr(packages, "GLIBC_MINOR", 35)
    package("Poll", tmp_path / "Poll", here=False)
    assert len(pip.asked) == 2
    assert len(list((tmp_path / "kept" / "functions").iterdir())) == 1, "the older one is gone"
