"""The key is told to the provider and to nobody else, whatever the provider makes of it."""

import contextlib
import io
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from handlers import collect, intake, poll, reconcile, submit
from shared.adapters.simulator.core import SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.server import Running, running_simulator
from shared.wiring.aws import home
from tests.handlers.aws_home import JOB, Cloud, cloud, load
from tests.handlers.cli.command import Docmill, Provider, write_documents

CANARY = "canary-0a1b2c3d4e5f-of-the-key"
KEYS = (CANARY, f"sk-ant-api03-{CANARY}_AA")
STATUSES = (400, 401, 402, 403, 404, 413, 429, 500, 529)


def echo(key: str, call: Call, status: int, times: int = 1) -> Fault:
    """An answer that repeats the key everywhere it can."""
    said = f"bad {key} in Authorization: Bearer {key}\n(https://me:{key}@gateway/v1)"
    return Fault(
        call=call, status=status, message=said, error_type=f"t_{key}", error_code=key, times=times
    )


def holding(folder: Path, secret: str) -> list[str]:
    """Files whose content or name holds the secret, or something that looks much like it."""
    needles = [secret.encode(), secret[:20].encode(), secret.encode("utf-16-le")]
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and any(needle in path.read_bytes() + str(path).encode() for needle in needles)
    ]


def run(docmill: Docmill, place: Path, key: str, **environment: str) -> str:
    """All that a run, a second one and the commands after it say."""
    write_documents(place / "in", 3)
    (place / "in" / "_recipe.md").write_text("---\nmodel: m\n---\n{{ document.text }}")
    words = ("run", place / "in", "--out", place / "out", "--no-wait", "--yes")
    said = ""
    environment["ANTHROPIC_API_KEY"] = key
    for command in (words, (*words, "--json"), ("status", place / "out")):
        done = docmill(*command, **environment)
        said += done.out + done.err
    return said


@pytest.mark.parametrize("status", STATUSES)
def test_no_answer_that_repeats_the_key_leaves_it_on_the_laptop(
    tmp_path: Path, docmill: Docmill, provider: Provider, status: int
) -> None:
    key = KEYS[status % len(KEYS)]
    script = provider.running.simulator.faults.script
    script += [echo(key, call, status, times=9) for call in (Call.CREATE, Call.RETRIEVE, Call.LIST)]
    said = run(docmill, tmp_path, key)
    assert CANARY not in said
    assert CANARY[:12] not in said
    assert holding(tmp_path, CANARY) == []
    assert provider.running.simulator.calls[Call.CREATE] > 0


@pytest.mark.parametrize("key", KEYS, ids=["any key", "Anthropic's"])
def test_no_row_that_repeats_the_key_leaves_it_on_the_laptop(
    tmp_path: Path, docmill: Docmill, provider: Provider, key: str
) -> None:
    faults = provider.running.simulator.faults
    faults.error_rate, faults.error_type, faults.error_message = 1.0, f"t_{key}", f"Bearer {key}"
    write_documents(tmp_path / "in", 3)
    words = ("run", tmp_path / "in", "--out", tmp_path / "out", "--poll-interval", "0.05")
    done = docmill(*words, ANTHROPIC_API_KEY=key)
    assert done.status == 1
    assert "failed: doc-000.txt" in done.out
    assert CANARY not in done.out + done.err
    assert holding(tmp_path, CANARY) == []


@pytest.mark.parametrize(
    "key",
    [
        *(f"{CANARY}\n", f" {CANARY}", f"{CANARY}\r\nx: y"),
        *(f"{CANARY}é", f"{CANARY}\x7f", f"{CANARY} x"),
    ],
)  # fmt: skip
def test_a_key_that_can_not_be_sent_is_not_shown(
    tmp_path: Path, docmill: Docmill, key: str
) -> None:
    said = run(docmill, tmp_path, key)
    assert "ANTHROPIC_API_KEY" in said
    assert CANARY not in said
    assert holding(tmp_path, CANARY) == []


@pytest.mark.parametrize(
    "address",
    [
        *("http://me:KEY@127.0.0.1:9", "http://KEY@127.0.0.1:9/v1", "http://me:KEY@[::1"),
        *("https://me:KEY@127.0.0.1:9", "ftp://me:KEY@127.0.0.1", "me:KEY@host"),
        *("http://me:KEY", "http://me:KEY/@host"),
        *("http://me:KEY@127.0.0.1:99999", "http://me:KEY@/"),
    ],
)  # fmt: skip
def test_an_address_that_holds_a_password_is_not_shown(
    tmp_path: Path, docmill: Docmill, address: str
) -> None:
    said = run(docmill, tmp_path, "another", ANTHROPIC_BASE_URL=address.replace("KEY", CANARY))
    assert said
    assert CANARY not in said
    assert holding(tmp_path, CANARY) == []


def test_the_simulator_is_never_given_the_key(tmp_path: Path, docmill: Docmill) -> None:
    write_documents(tmp_path / "in", 2)
    words = ("run", tmp_path / "in", "--out", tmp_path / "out", "--simulate")
    done = docmill(*words, "--poll-interval", "0.05", ANTHROPIC_API_KEY=CANARY)
    assert done.status == 0
    assert CANARY not in done.out + done.err
    assert list((tmp_path / "out" / ".docmill" / "simulator").iterdir())
    assert holding(tmp_path, CANARY) == []


@pytest.fixture
def aws_provider() -> Iterator[Running]:
    with running_simulator(settings=SimulatorSettings(duration_s=0.05)) as running:
        yield running


@pytest.fixture
def aws(endpoint: str, aws_provider: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with cloud(endpoint, aws_provider) as found:
        monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
        monkeypatch.setenv("DOCMILL_LOG_LEVEL", "debug")
        home.cache_clear()
        yield found
    home.cache_clear()


def everything(aws: Cloud) -> str:
    """All that lies in the table, in both buckets and in the queues."""
    table = boto3.client("dynamodb").scan(TableName=aws.input.removesuffix("-input"))
    found = [repr(table)]
    for bucket in (aws.input, aws.output):
        for listed in aws.s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            answer = aws.s3.get_object(Bucket=bucket, Key=listed["Key"])
            found.append(f"{listed['Key']} {answer['Metadata']} {answer['Body'].read()!r}")
    for queue in (aws.uploads, aws.collects):
        found += [repr(messages) for messages in aws.taken(queue)]
    return "\n".join(found)


def invoked(handler: Callable[[Any, Any], Any], event: Any, aws: Cloud) -> str:
    """What a function logs and returns, and what Lambda would log of its failure."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            out.write(repr(handler(event, aws.invocation)))
        except Exception:  # noqa: BLE001 - Lambda's runtime logs what escapes
            traceback.print_exc()
    return out.getvalue()


@pytest.mark.parametrize("status", [None, 400, 401, 500])
def test_the_key_is_in_nothing_that_the_functions_leave_or_say(
    aws: Cloud, status: int | None
) -> None:
    faults = aws.provider.simulator.faults
    if status is None:
        faults.error_rate, faults.error_type, faults.error_message = 1.0, "x", f"no {CANARY}"
    else:
        faults.script += [echo(CANARY, call, status, times=2) for call in Call]
    aws.upload({f"{JOB}/a.md": b"a", f"{JOB}/_READY": b"", "stray.md": b"b"})
    bad = {"Records": [{"messageId": "m", "body": json.dumps({"Records": [CANARY[:3]]})}]}
    said = invoked(intake.handler, bad, aws)
    aws.take_uploads()
    tick = load("scheduler-tick.json")
    for _ in range(4):
        for handler in (submit.handler, poll.handler, reconcile.handler):
            said += invoked(handler, tick, aws)
        for messages in aws.taken(aws.collects):
            bodies = [{"messageId": m["MessageId"], "body": m["Body"]} for m in messages]
            said += invoked(collect.handler, {"Records": bodies}, aws)
    assert "record_failed" in said
    assert "submitted" in said
    assert CANARY not in said
    assert CANARY not in everything(aws)
    assert CANARY not in f"{home()!r} {home().settings!r} {vars(home())!r}"
