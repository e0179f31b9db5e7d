"""infra/README.md names the permissions of each command: those that it uses, and no others."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from handlers import submit
from handlers.cli.stack import drop as dropping
from shared.adapters.simulator.core import SimulatorSettings
from tests.handlers.cli.command import ROOT
from tests.handlers.cli.stack.deployed import RECIPE, Deployed
from tests.infra.calls import Calls, noted_calls

UNSEEN = {
    ("drop", "s3:AbortMultipartUpload"): "when a large file can't be read to its end",
    ("cancel", "dynamodb:BatchGetItem"): "when a document is written meanwhile",
}


@pytest.fixture(scope="module")
def listed() -> dict[str, set[str]]:
    table = (ROOT / "infra/README.md").read_text("utf-8").partition("| for | permissions |")[2]
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", table.partition("\n\n")[0], re.MULTILINE)
    return {name: set(re.findall(r"`(\w+:\w+)`", said)) for name, said in rows}


def _dropped(stack: Deployed, folder: Path) -> None:
    (folder / "a.md").write_text("# A")
    (folder / "large.txt").write_bytes(b"x" * (17 << 20))
    stack("drop", folder, "--job", "review", "--ready")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropping, "_FEW", 0)
        stack("drop", folder, "--job", "review", "--ready")


def _backfilled(stack: Deployed, folder: Path) -> None:
    source = f"s3://{stack.cloud.input}"
    stack.cloud.upload({"archive/y.md": b"# Y"})
    stack("backfill", f"{source}/archive", "--job", "review")
    stack("backfill", f"{source}/review", "--job", "review")


def _retried(stack: Deployed, folder: Path) -> None:
    assert stack("retry", "--all").status == 3


def _canceled(stack: Deployed, folder: Path) -> None:
    assert stack("cancel", "--no-wait").status == 3


def _reported(stack: Deployed, folder: Path) -> None:
    stack("reports", "list")
    stack("reports", "fetch", "--out", folder)


def _redriven(stack: Deployed, folder: Path) -> None:
    stack.cloud.sqs.send_message(QueueUrl=stack.dead_uploads, MessageBody="{}")
    stack("redrive")


def _shown(stack: Deployed, folder: Path) -> None:
    stack("status")


COMMANDS: dict[str, Callable[[Deployed, Path], None]] = {
    "drop": _dropped,
    "backfill": _backfilled,
    "status": _shown,
    "retry": _retried,
    "cancel": _canceled,
    "reports": _reported,
    "redrive": _redriven,
}


def test_every_command_is_listed(listed: dict[str, set[str]]) -> None:
    assert set(listed) == set(COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_command_does_what_the_readme_says_it_may(
    command: str, stack: Deployed, tmp_path: Path, listed: dict[str, set[str]]
) -> None:
    aws = stack.cloud
    aws.upload({"review/_recipe.md": RECIPE.encode(), "review/z.md": b"# Z"})
    aws.upload({"review/_READY": b""})
    assert aws.take_uploads() == []
    if command in ("status", "reports", "retry"):
        if command == "retry":
            aws.provider.simulator.faults.refuse_rate = 1.0
        aws.settle("review")
    if command == "cancel":
        aws.provider.simulator.settings = SimulatorSettings(duration_s=600)
        submit.handler({}, aws.invocation)
    if command in ("cancel", "retry"):
        aws.upload({"review/more.md": b"# More"})
        assert aws.take_uploads() == []
    (tmp_path / "files").mkdir()
    with noted_calls() as calls, calls.of(command):
        COMMANDS[command](stack, tmp_path / "files")
    assert _actions(calls, command) == {
        action for action in listed[command] if (command, action) not in UNSEEN
    }


def _actions(calls: Calls, command: str) -> set[str]:
    """But for CloudFormation, whose protocol isn't read there."""
    batched = {
        "sqs:SendMessageBatch": "sqs:SendMessage",
        "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    }
    found = {batched.get(each.action, each.action) for each in calls.by_function[command]}
    return found - {"s3:POST"}
