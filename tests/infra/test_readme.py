"""README and infra/README.md say of the stack what the template says."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import click

from handlers.cli.main import cli
from shared.wiring.notices import NOTICES
from shared.wiring.stack import OUTPUTS
from tests.aws import template

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "infra" / "README.md").read_text(encoding="utf-8")


def section(begin: str, end: str, text: str = PAGE) -> str:
    return text.partition(begin)[2].partition(end)[0]


def test_every_parameter_is_listed_with_its_default() -> None:
    rows: dict[str, str] = {}
    for line in section("| parameter |", "\n\n").splitlines()[2:]:
        names, _, default = (cell.strip() for cell in line.strip("|").split(" | "))
        rows |= {name: default.strip(" |") for name in re.findall(r"`(\w+)`", names)}
    declared = template()["Parameters"]
    assert rows == {name: str(each["Default"]) for name, each in declared.items()}


def test_every_alarm_has_something_to_do() -> None:
    told = re.findall(r"^\| `(…?\w+)` \|", section("| alarm |", "\n\n"), flags=re.MULTILINE)
    for name, resource in template()["Resources"].items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            endings = [each for each in told if name.endswith(each.removeprefix("…"))]
            assert name in told or endings, name
    assert len(told) == len(set(told))


def test_every_notice_is_listed() -> None:
    assert set(NOTICES.values()) == set(
        re.findall(
            r"`(\w[\w ]+)`",
            section("| detail-type |", "\n\n").split("\n", 2)[2].replace("`max_cost`", ""),
        )
    )


def test_outputs_that_are_named_are_there() -> None:
    named = {"NotificationsTopicArn", "EventBusName", "LogGroupName", "ApiKeySecretArn"}
    assert named <= template()["Outputs"].keys()
    assert all(name in README + PAGE for name in named)


def test_the_command_line_finds_a_stack_by_its_outputs() -> None:
    outputs = template()["Outputs"]
    values = {field: outputs[name]["Value"] for field, name in OUTPUTS.items()}
    assert values == {
        "input_bucket": {"Ref": "InputBucket"},
        "output_bucket": {"Ref": "OutputBucket"},
        "table": {"Ref": "Table"},
        "upload_queue": {"Ref": "UploadQueue"},
        "collect_queue": {"Ref": "CollectQueue"},
        "upload_dead_letters": {"Ref": "UploadDeadLetters"},
        "collect_dead_letters": {"Ref": "CollectDeadLetters"},
    }


def test_what_a_stack_is_deployed_with_is_no_change_to_a_file_of_the_project() -> None:
    """Else `git pull` stops at what `sam deploy --guided` wrote into it."""
    [made] = re.findall(r"^\$ cp samconfig.toml (\S+)", README, flags=re.MULTILINE)
    deployed = re.findall(r"sam deploy[^\n`]*--config-file (\S+?)[\s`]", README)
    assert len(deployed) == README.count("$ sam deploy") + README.count("&& sam deploy") == 2
    assert set(deployed) == {made}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert [each for each in ignored if fnmatch(f"/{made}", each)]
    assert made != "samconfig.toml"
    kept = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    theirs = {"parameter_overrides", "region", "profile", "s3_bucket", "s3_prefix"}
    assert not theirs & kept["default"]["deploy"]["parameters"].keys()
    assert kept["default"]["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"


def test_the_commands_of_a_first_job_are_those_of_the_command_line() -> None:
    told = re.findall(r"docmill ([a-z][^#`\n]*)", section("### Deploy", "## What docmill", README))
    asked = [words.split() for words in told if words.split()[0] in cli.commands]
    assert {"drop", "recipes", "reports", "status"} <= {words[0] for words in asked}
    for words in asked:
        command: click.Command = cli
        while isinstance(command, click.Group) and words:
            command = command.commands[words.pop(0)]
        options = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= options, (command.name, words)
