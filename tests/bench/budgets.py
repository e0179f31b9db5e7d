"""Measures each function's package against infra/budgets.toml: `make budgets`.

Sizes, what importing it takes (without the API's SDK, and with it), and what a cold start, a first
call and a warm one take under Lambda's own client, with nothing to do. CPU time, not wall time, and
medians of several starts, as the machine may be busy with other things.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.server import running_simulator
from tests.aws import TEMPLATE
from tests.handlers.aws_home import cloud, load, moto_server
from tests.infra.runtime_api import DIST, running

BUDGETS = TEMPLATE.with_name("budgets.toml")
_OURS = ("AWS_", "DOCMILL_", "ANTHROPIC_", "PATH", "HOME", "TMPDIR")
_MB = 1_000_000
_ROUNDS = 5
_HEAVIEST = 8

_IMPORT = """
import sys, time
sys.path.insert(0, {package!r})
began = time.process_time()
import handlers.{name}
{more}
print(1000 * (time.process_time() - began))
"""
Figures = dict[str, float]


def budgets() -> dict[str, Figures]:
    """By function, what each figure may be."""
    return tomllib.loads(BUDGETS.read_text(encoding="utf-8"))


def exceeded(function: str, found: Figures) -> list[str]:
    """What is above its budget, a line each. Raises KeyError where there is no budget."""
    allowed = budgets()[function]
    return [
        f"{function}: {name} is {figure:,.1f}, more than {allowed[name]:,}"
        for name, figure in found.items()
        if figure > allowed[name]
    ]


def sizes(function: str) -> Figures:
    """Of the package as it lies there, and as it is uploaded."""
    package = DIST / "functions" / function
    files = [path for path in sorted(package.rglob("*")) if path.is_file()]
    with tempfile.TemporaryFile() as whole:
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in files:
                zipped.write(path, path.relative_to(package))
        packed = whole.tell()
    unpacked = sum(path.stat().st_size for path in files)
    return {"unzipped_mb": unpacked / _MB, "zipped_mb": packed / _MB}


def imports(function: str, *, rounds: int) -> Figures:
    """CPU of importing the handler, and of the SDK besides, where the package has it."""
    found = {"import_ms": _import_ms(function, "", rounds)}
    if (DIST / "functions" / function / "anthropic").exists():
        found["import_sdk_ms"] = _import_ms(function, "import anthropic", rounds)
    return found


def _import_ms(function: str, more: str, rounds: int) -> float:
    package = DIST / "functions" / function
    code = _IMPORT.format(package=str(package), name=function.lower(), more=more)
    return median(float(_python("-I", "-c", code)) for _ in range(rounds))


def heaviest(function: str) -> list[str]:
    """The imports that take longest by themselves, as `-X importtime` tells them."""
    package = DIST / "functions" / function
    code = f"import sys; sys.path.insert(0, {str(package)!r}); import handlers.{function.lower()}"
    told = subprocess.run(
        [_interpreter(), "-I", "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=package,
    ).stderr
    rows = [line.removeprefix("import time:").split("|") for line in told.splitlines()[1:]]
    times = sorted(((int(own), name.strip()) for own, _, name in rows), reverse=True)
    return [f"{own / 1000:.1f} ms {name}" for own, name in times[:_HEAVIEST]]


def _python(*words: str) -> str:
    done = subprocess.run([_interpreter(), *words], capture_output=True, text=True, check=True)
    return done.stdout


def _interpreter() -> str:
    return (DIST / "python").read_text(encoding="utf-8").strip()


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """An empty stack on moto, as the functions' environment names it."""
    settings = SimulatorSettings(duration_s=0)
    with (
        moto_server() as endpoint,
        running_simulator(settings=settings) as provider,
        cloud(endpoint, provider),
    ):
        ours = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
        yield ours | {"DOCMILL_LOG_LEVEL": "info", "DOCMILL_STACK": "docmill"}


def calls(function: str, where: dict[str, str], *, rounds: int) -> Figures:
    """CPU of the start, of the first call and of a warm one; memory at its peak."""
    sqs = function in {"Intake", "Collect"}
    event = {"Records": []} if sqs else load("scheduler-tick.json")
    found: list[Figures] = []
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory() as folder,
            running(function, where, Path(folder)) as lambda_,
        ):
            lambda_.start()
            begun = lambda_.cpu_ms()
            assert not lambda_(event).error, lambda_.log()
            first = lambda_.cpu_ms()
            lambda_(event)
            warm = lambda_.cpu_ms()
            found.append(
                {
                    "init_ms": begun,
                    "first_ms": first - begun,
                    "warm_ms": warm - first,
                    "peak_mib": lambda_.peak_mib(),
                }
            )
    return {name: median(each[name] for each in found) for name in found[0]}


def main() -> int:
    """Measure each function; 1 where something is above its budget."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"starts of each ({_ROUNDS})")
    rounds: int = parser.parse_args().rounds
    above: list[str] = []
    say("measured / budget")
    with environment() as where:
        for function, allowed in budgets().items():
            found = sizes(function) | imports(function, rounds=rounds)
            found |= calls(function, where, rounds=rounds)
            above += exceeded(function, found)
            told = (f"{name} {found[name]:,.1f}/{allowed[name]:,}" for name in found)
            say(f"{function:10} {'  '.join(told)}")
    say(f"heaviest imports of Submit: {', '.join(heaviest('Submit'))}")
    for line in above:
        say(line)
    return 1 if above else 0


def say(line: str) -> None:
    """Print at once: each takes a while."""
    print(line, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main())
