"""Makes the folder that is deployed as one function: its code, and what it imports, as locked.

`sam build` calls it by way of the Makefile, once per function. Nothing of the machine it runs on
goes in: dependencies are wheels for Lambda's arm64 and Python 3.13, chosen by hash. With `--here`
they are for this machine instead, to try the package on it.
"""

import argparse
import compileall
import fcntl
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = (3, 13)
GLIBC_MINOR = 34
"""Of Amazon Linux 2023, on which python3.13 runs."""

SERVICES = {
    "Intake": {"dynamodb", "lambda", "s3", "sqs"},
    "Submit": {"dynamodb", "events", "s3", "secretsmanager"},
    "Poll": {"dynamodb", "events", "s3", "secretsmanager", "sqs"},
    "Collect": {"dynamodb", "events", "s3", "secretsmanager", "sqs"},
    "Reconcile": {"dynamodb", "events", "s3", "secretsmanager", "sqs"},
}
"""What each function calls of AWS. botocore carries descriptions of 400 services, 25 MB."""

KEPT = ROOT / "dist" / "installed"
LOCKS = dict.fromkeys(SERVICES, "functions.lock") | {
    "Intake": "intake.lock",
    "Submit": "submit.lock",
}

_LAPTOP = (
    *("adapters/folder_blobs.py", "adapters/simulator", "adapters/simulator_api.py"),
    "adapters/converters/remembered.py",
    *("adapters/sqlite_file.py", "adapters/sqlite_store.py", "adapters/work_tree.py"),
    *("app/drive.py", "app/load.py", "wiring/laptop.py"),
    "wiring/stack.py",
)
_NOT_CODE = ("bin", "boto3/data", "boto3/examples")


def package(function: str, target: Path, *, here: bool = False) -> None:
    """Fill `target`, which is emptied first. Raises CalledProcessError when pip fails."""
    shutil.rmtree(target, ignore_errors=True)
    _fill(target, ROOT / "infra" / LOCKS[function], here=here)
    for name in _NOT_CODE:
        shutil.rmtree(target / name, ignore_errors=True)
    for service in (target / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in SERVICES[function]:
            shutil.rmtree(service)
    copy_code(function, target)
    for name in ("handlers", "shared"):
        _compile(target / name, target, here=here)
    if not here and sys.version_info[:2] != PYTHON:
        version = ".".join(map(str, PYTHON))
        sys.stderr.write(
            f"{target} isn't compiled, and starts slower: run this with Python {version}\n"
        )


def copy_code(function: str, target: Path) -> None:
    """docmill's own part: one handler, and everything shared but what only a laptop needs."""
    handlers = target / "handlers"
    handlers.mkdir(parents=True)
    for name in ("__init__.py", "events.py", f"{function.lower()}.py"):
        shutil.copy2(ROOT / "handlers" / name, handlers)
    left_out = {ROOT / "shared" / name for name in _LAPTOP}

    def unwanted(folder: str, names: list[str]) -> list[str]:
        return [n for n in names if n == "__pycache__" or Path(folder, n) in left_out]

    shutil.copytree(ROOT / "shared", target / "shared", ignore=unwanted)


def _fill(target: Path, lock: Path, *, here: bool) -> None:
    """Copy what a lock file asks for, which is installed and compiled once for all functions.

    They are built side by side: one installs, and the others wait.
    """
    version = sys.version if here else f"{PYTHON} {GLIBC_MINOR} {sys.version_info[:2]}"
    name = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:16]
    place = KEPT / lock.stem / name
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{lock.stem}.turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not place.exists():
            shutil.rmtree(place.parent, ignore_errors=True)
            begun = place.with_suffix(".begun")
            _install(lock, begun, here=here)
            _compile(begun, begun, here=here)
            begun.rename(place)  # only a whole one has the name
        shutil.copytree(place, target, copy_function=_linked)


def _linked(source: str, target: str) -> str:
    """Thousands of files that nobody writes to again: a second name is enough, where it can be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _install(lock: Path, target: Path, *, here: bool) -> None:
    glibc = [f"manylinux_2_{minor}_aarch64" for minor in range(GLIBC_MINOR, 16, -1)]
    platforms = [f"--platform={name}" for name in (*glibc, "manylinux2014_aarch64")]
    version = ".".join(map(str, PYTHON))
    foreign = [*platforms, "--implementation=cp", f"--python-version={version}"]
    subprocess.run(  # noqa: S603 - this interpreter's pip, a lock file of ours
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"),
            *("--target", target, "--requirement", lock, "--require-hashes", "--no-deps"),
            *("--only-binary=:all:", "--no-compile", *([] if here else foreign)),
        ],
        check=True,
    )


def _compile(folder: Path, target: Path, *, here: bool) -> None:
    """Lambda can't keep what it compiles, so without this every cold start compiles anew."""
    if here or sys.version_info[:2] == PYTHON:
        compileall.compile_dir(
            folder,
            quiet=1,
            stripdir=str(target),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def main() -> None:
    """`package.py FUNCTION FOLDER [--here]`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function", choices=sorted(SERVICES))
    parser.add_argument("target", type=Path)
    parser.add_argument("--here", action="store_true", help="for this machine, not for Lambda")
    asked = parser.parse_args()
    package(asked.function, asked.target, here=asked.here)


if __name__ == "__main__":
    main()
