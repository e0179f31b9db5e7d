"""The real command as a process: killed in the middle, and started again."""

import signal
from pathlib import Path
from uuid import uuid4

from tests.handlers.cli.command import ended, until
from tests.handlers.cli.stack.deployed import Deployed

COUNT = 300


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
    there = len(stack.inputs())
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
    there = len(stack.inputs())
    assert 20 <= there < COUNT
    with stack.docmill.start(*words) as process:
        done = ended(process)
    [told] = done.events
    assert (told["sent"], told["there"]) == (COUNT - there, there)
    assert len(stack.inputs()) == COUNT


def test_a_drop_shows_a_bar_on_a_terminal(stack: Deployed, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    screen, status = stack.docmill.at_terminal(
        "drop", tmp_path / "a.md", "--stack", stack.name, answers={}
    )
    assert status == 0
    assert "uploading" in screen
    assert "1 file: 1 uploaded (3 bytes), 0 there already" in screen
