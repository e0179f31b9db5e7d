"""The real command as a process: killed in the middle, and started again."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from handlers import submit
from shared.adapters.simulator.core import SimulatorSettings
from tests.handlers.cli.command import ended, line_with, until
from tests.handlers.cli.stack.deployed import RECIPE, Deployed

COUNT = 300


def at_rest(stack: Deployed) -> int:
    """How many objects there are once the server has done what it was sent before the death."""
    found = [len(stack.inputs())]

    def same_again() -> bool:
        time.sleep(0.5)
        found.append(len(stack.inputs()))
        return found[-1] == found[-2]

    until(same_again)
    return found[-1]


def test_a_drop_that_is_killed_is_gone_on_with(stack: Deployed, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for number in range(COUNT):
        (root / f"{number:03}.md").write_text(f"# Document {number}")
    words = ("drop", root, "--stack", stack.name, "--json")
    with stack.docmill.start(*words) as process:
        until(lambda: len(stack.inputs()) >= 20)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    there = at_rest(stack)
    assert 20 <= there < COUNT
    done = stack.docmill.alone(*words)
    [told] = done.events
    assert (done.status, done.err) == (0, "")
    assert told["uploaded"] == COUNT - there
    assert told["there"] == there
    assert len(stack.inputs()) == COUNT
    assert stack.versions(stack.cloud.input) == COUNT, "none went up twice"


def test_a_backfill_that_is_killed_is_gone_on_with(stack: Deployed) -> None:
    s3, source = stack.cloud.s3, f"source-{uuid4().hex[:8]}"
    region = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket=source, CreateBucketConfiguration=region)
    for number in range(COUNT):
        s3.put_object(Bucket=source, Key=f"old/{number:03}.md", Body=b"# %d" % number)
    words = ("backfill", f"s3://{source}/old", "--job", "review", "--stack", stack.name, "--json")
    with stack.docmill.start(*words) as process:
        until(lambda: len(stack.inputs()) >= 20)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    there = at_rest(stack)
    assert 20 <= there < COUNT
    with stack.docmill.start(*words) as process:
        done = ended(process)
    [told] = done.events
    assert (told["sent"], told["there"]) == (COUNT - there, there)
    assert len(stack.inputs()) == COUNT


def signalled(stack: Deployed, words: tuple[object, ...], when: Callable[[], bool]) -> str:
    """What a command says that is interrupted in the middle."""
    with stack.docmill.start(*words, "--stack", stack.name) as process:
        until(when)
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert done.status == 130
    lines = done.err.splitlines()
    assert [line for line in lines if line.startswith("docmill: interrupted")] == lines[-1:]
    assert "provider" not in lines[-1]
    return lines[-1]


def test_who_is_interrupted_says_what_is_true_of_it(stack: Deployed, tmp_path: Path) -> None:
    cloud, root = stack.cloud, tmp_path / "in"
    root.mkdir()
    for number in range(COUNT):
        (root / f"{number:03}.md").write_text(f"# Document {number}")
    drop = ("drop", root, "--job", "review")
    assert "what is uploaded is there" in signalled(stack, drop, lambda: len(stack.inputs()) > 5)
    stack.docmill.alone(*drop, "--stack", stack.name)  # the few from before would be fed at once
    there = len(stack.inputs())
    backfill = ("backfill", f"s3://{cloud.input}/review", "--job", "other")
    fed = signalled(stack, backfill, lambda: len(stack.inputs()) > there + 5)
    assert "what was fed stays so" in fed

    for number in range(COUNT):
        cloud.s3.put_object(Bucket=cloud.output, Key=f"review/{number:03}.md.md", Body=b"# R")
    out = tmp_path / "out"
    fetch = ("reports", "fetch", "--out", out)
    said = signalled(stack, fetch, lambda: out.is_dir() and len(list(out.rglob("*.md"))) > 5)
    assert "the same command fetches the rest" in said

    for number in range(COUNT):
        cloud.sqs.send_message(QueueUrl=stack.dead_uploads, MessageBody=f'{{"n": {number}}}')
    before = stack.waiting(cloud.uploads)
    said = signalled(stack, ("redrive",), lambda: stack.waiting(cloud.uploads) > before + 5)
    assert "none is lost" in said


def test_a_cancel_that_is_interrupted_says_what_stays(stack: Deployed) -> None:
    slow = SimulatorSettings(duration_s=600)
    stack.cloud.provider.simulator.settings = slow
    stack.cloud.upload({"review/_recipe.md": RECIPE.encode(), "review/a.md": b"# A"})
    stack.cloud.upload({"review/_READY": b""})
    assert stack.cloud.take_uploads() == []
    submit.handler({}, stack.cloud.invocation)
    with stack.docmill.start("cancel", "--stack", stack.name) as process:
        line_with(process, "not at the end yet")
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert done.status == 143
    assert "docmill: told to stop; what is canceled or asked to stop stays so" in done.err


def test_a_drop_shows_a_bar_on_a_terminal(stack: Deployed, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    screen, status = stack.docmill.at_terminal(
        "drop", tmp_path / "a.md", "--stack", stack.name, answers={}
    )
    assert status == 0
    assert "uploading" in screen
    assert "1 file: 1 uploaded (3 bytes), 0 there already" in screen
