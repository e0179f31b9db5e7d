"""Functions run from what is deployed, under Lambda's own client; `make packages` builds it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.package import SERVICES
from shared.adapters.simulator.faults import Call, Fault
from tests.bench.budgets import exceeded, sizes
from tests.handlers.aws_home import JOB, Cloud, load, sqs_event
from tests.infra.runtime_api import DIST, Function, TimedOut, running

FUNCTIONS = ("Collect", "Intake", "Poll", "Reconcile", "Submit")
TIMERS = ("Poll", "Reconcile", "Submit")
SDK = "pydantic_core"
"""The part of the SDK that shows in a process: a library of compiled code."""

MAX_PAYLOAD = 6 * 1024 * 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

pytestmark = pytest.mark.skipif(
    not (DIST / "python").exists(), reason="`make packages` has not been run"
)

Run = Callable[[str], Function]


@pytest.fixture
def run(aws: Cloud, tmp_path: Path) -> Iterator[Run]:
    names = ("AWS_", "DOCMILL_", "ANTHROPIC_", "PATH", "HOME", "TMPDIR")
    environment = {key: value for key, value in os.environ.items() if key.startswith(names)}
    environment |= {"DOCMILL_LOG_LEVEL": "info", "DOCMILL_STACK": "docmill"}
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(running(name, environment, tmp_path))


def uploaded(aws: Cloud, documents: dict[str, bytes]) -> dict[str, Any]:
    """The event that brings them to intake."""
    aws.upload({f"{JOB}/{path}": data for path, data in documents.items()})
    return sqs_event([message for messages in aws.taken(aws.uploads) for message in messages])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_package_holds_what_its_function_imports_and_little_else(name: str) -> None:
    package = DIST / "functions" / name
    assert exceeded(name, sizes(name)) == []
    assert (package / "anthropic").exists() == (name != "Intake")
    handlers = {path.name for path in (package / "handlers").glob("*.py")}
    assert handlers == {"__init__.py", "events.py", f"{name.lower()}.py"}
    described = {path.name for path in (package / "botocore" / "data").iterdir() if path.is_dir()}
    assert described == SERVICES[name]
    unwanted = ("rich", "click", "pytest", "moto", "tests", "aiobotocore")
    assert not [each for each in unwanted if (package / each).exists()]
    assert not (package / "shared" / "adapters" / "simulator").exists()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_importing_a_function_imports_no_sdk(name: str) -> None:
    """How long it takes is measured by `make budgets`."""
    python = (DIST / "python").read_text(encoding="utf-8").strip()
    code = (
        f"import sys; sys.path.insert(0, sys.argv[1]); import handlers.{name.lower()};"
        "print('anthropic' in sys.modules, 'rich' in sys.modules)"
    )
    package = DIST / "functions" / name
    asked = [python, "-I", "-c", code, str(package)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=package)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_with_nothing_to_do_needs_no_sdk(run: Run, name: str) -> None:
    function = run(name)
    first = function(load("scheduler-tick.json"))
    warm = function(load("scheduler-tick.json"))
    assert not first.error
    assert not any(first.value.values())
    assert warm.value == first.value
    assert not function.has_loaded(SDK)
    assert exceeded(name, {"peak_mib": function.peak_mib()}) == []


def test_documents_become_reports_from_packages_alone(run: Run, aws: Cloud) -> None:
    functions = {name: run(name) for name in FUNCTIONS}
    documents = {f"{n}.md": b"# %d" % n for n in range(3)}
    none: dict[str, list[Any]] = {"batchItemFailures": []}
    taken = functions["Intake"](uploaded(aws, {**documents, "_READY": b""}))
    assert taken.value == none
    assert functions["Submit"]({}).value["requests"] == 3
    end = time.monotonic() + 20
    while not functions["Poll"]({}).value["ended"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    [messages] = aws.taken(aws.collects)
    assert functions["Collect"](sqs_event(messages)).value == none
    assert functions["Reconcile"]({}).value["published"] == 1
    assert aws.reports() == {f"{path}.md" for path in documents}
    assert functions["Submit"].has_loaded(SDK)
    assert not functions["Intake"].has_loaded(SDK)
    lines = [json.loads(line) for line in functions["Collect"].log().splitlines()]
    [collected] = [
        line for line in lines if line["event"] == "batch_collected" and "_aws" not in line
    ]
    assert (collected["function"], collected["level"]) == ("Collect", "info")
    assert collected["trace"] == "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"
    [measured] = [line for line in lines if "_aws" in line]
    assert measured["RequestsReported"] == 3


@pytest.mark.parametrize("name", ["Collect", "Intake"])
def test_an_event_that_is_none_fails_where_lambda_sees_it_and_the_next_is_taken(
    run: Run, name: str
) -> None:
    function = run(name)
    failed = function({"Records": [{}]})
    assert failed.error == "MalformedEvent"
    poison = function(load("sqs-poison.json"))
    assert not poison.error
    assert poison.value["batchItemFailures"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_environment_that_lacks_something_is_named_at_the_first_call(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    function = run(name)
    lacking = {key: value for key, value in function._environment.items() if "TABLE" not in key}
    function._environment = lacking
    failed = function(load("scheduler-tick.json"))
    assert failed.error == "InvalidSettings"
    assert "DOCMILL_TABLE" in failed.value["errorMessage"]


def test_a_function_that_outlives_its_time_is_ended_and_the_next_goes_on(
    run: Run, aws: Cloud
) -> None:
    intake, submit = run("Intake"), run("Submit")
    intake(uploaded(aws, {"a.md": b"# A", "_READY": b""}))
    aws.provider.simulator.faults.script.append(Fault(call=Call.CREATE, delay_s=60))
    with pytest.raises(TimedOut):
        submit({}, seconds=15)
    aws.provider.simulator.faults.script.clear()
    intake(uploaded(aws, {"b.md": b"# B", "_READY": b""}))
    assert submit({}).value == {"batches": 1, "requests": 1, "in_doubt": 0, "refused": 0}


def test_a_timer_gives_up_a_call_that_would_outlive_its_time(run: Run, aws: Cloud) -> None:
    run("Intake")(uploaded(aws, {"a.md": b"# A", "_READY": b""}))
    assert run("Submit")({}).value["requests"] == 1
    time.sleep(2.1)  # it is due then
    aws.provider.simulator.faults.script.append(Fault(call=Call.RETRIEVE, delay_s=60))
    assert run("Poll")({}, seconds=20).value == {"checked": 1, "ended": 0}


def test_the_largest_payload_is_taken(run: Run) -> None:
    event = load("sqs-poison.json")
    room = MAX_PAYLOAD - len(json.dumps(event).encode()) - 100
    event["Records"][0]["body"] = "x" * room
    answer = run("Intake")(event)
    assert not answer.error
    assert event["Records"][0]["messageId"] in json.dumps(answer.value)
