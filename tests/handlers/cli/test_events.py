"""The README's table of events is what the sources emit, with exactly their fields."""

import ast
import re

from handlers.cli.json_lines import numbers
from tests.handlers.cli.command import ROOT
from tests.handlers.cli.jobs import job


def emitted() -> dict[str, set[str]]:
    """Every event named in the sources with the facts it is given by name."""
    found: dict[str, set[str]] = {}
    for folder in ("shared/app", "handlers/cli"):
        for path in sorted((ROOT / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                match node.func.attr, node.args:
                    case "emit" | "tell", [ast.Constant(value=str(event)), *_]:
                        facts = {word.arg for word in node.keywords if word.arg}
                        found.setdefault(event, set()).update(facts)
    found["estimate"] = facts_of("handlers/cli/estimating.py", "estimate")
    found["progressed"] |= set(numbers(job()))
    found["finished"] |= {*numbers(job()), "out", "exit_status"}
    return found


def facts_of(source: str, event: str) -> set[str]:
    """What an event that is written as one object has besides `event` and `at`."""
    for node in ast.walk(ast.parse((ROOT / source).read_text())):
        if isinstance(node, ast.Dict):
            names = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            values = [each.value for each in node.values if isinstance(each, ast.Constant)]
            if names[:2] == ["event", "at"] and event in values:
                return {str(name) for name in names[2:]}
    raise AssertionError(f"{source} writes no event {event}")


def documented() -> dict[str, set[str]]:
    section = (ROOT / "README.md").read_text().partition("### Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| .* \|$", section, re.MULTILINE)
    found = {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}
    found["finished"] = found["finished"] - {"progressed"} | found["progressed"]
    return found


def test_the_readme_lists_exactly_the_events_there_are_and_their_fields() -> None:
    assert documented() == emitted()
