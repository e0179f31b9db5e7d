"""cfn-lint, checkov and parliament on what CloudFormation gets: `lint.py FOLDER_OF_LINTERS`.

Twice: with the parameters' defaults, and with everything switched on that a parameter can. What a
finding is waived for stands beside the resource, in its Metadata; only what a parameter switches on
is waived here, and only where it is off.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.aws import REGION
from tests.infra.resolved import EVERYTHING, Stack
from tests.infra.translated import Resources, holding

BY_PARAMETER = {
    "CKV_AWS_26": "KmsKeyArn: alarms can't speak to a topic under a key that AWS manages",
    "CKV_AWS_27": "KmsKeyArn: else SQS encrypts with its own key, which checkov doesn't know of",
    "CKV_AWS_115": "ReserveTimers: a new account has no concurrency to reserve, and needs none",
    "CKV_AWS_117": "SubnetIds: nothing that is called lies in a VPC",
    "CKV_AWS_119": "KmsKeyArn: else a key that AWS manages",
    "CKV_AWS_149": "KmsKeyArn: else a key that AWS manages",
    "CKV_AWS_158": "KmsKeyArn: else CloudWatch's own key",
    "CKV_AWS_173": "KmsKeyArn: else Lambda's own key; no secret is in the environment",
}

_PARLIAMENT = """
import json, sys
from parliament import analyze_policy_string
for name, policy in json.load(sys.stdin):
    for found in analyze_policy_string(policy).findings:
        print(json.dumps([name, found.issue, str(found.detail)]))
"""


def findings(linters: Path, name: str, resources: Resources) -> Iterator[str]:
    """One line each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.json")
        content = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        cfn_lint = Path(sys.executable).with_name("cfn-lint")
        yield from _run(cfn_lint, "--format", "parseable", "--regions", REGION, "-t", path)
        off = [] if name == "everything" else ["--skip-check", ",".join(BY_PARAMETER)]
        checkov = [linters / "checkov", "--skip-download", "--quiet", "--compact", *off]
        found = _run(*checkov, "--framework", "cloudformation", "--output", "json", "-f", path)
        report = json.loads("\n".join(found))
        if report["summary"]["passed"] < len(resources):
            yield f"checkov looked at {report['summary']} only"
        for check in report["results"]["failed_checks"]:
            yield f"checkov {check['check_id']} {check['resource']}: {check['check_name']}"
    yield from _parliament(linters, resources)


def _parliament(linters: Path, resources: Resources) -> Iterator[str]:
    policies = [
        (name, json.dumps(policy))
        for name, resource in resources.items()
        for policy in holding("Statement", resource)
        if "Principal" not in policy["Statement"][0]
    ]
    if not policies:
        yield "parliament got no policy"
    asked = [linters / "python", "-W", "ignore", "-c", _PARLIAMENT]
    for line in _run(*asked, said=json.dumps(policies)):
        name, issue, detail = json.loads(line)
        waived = resources[name].get("Metadata", {}).get("parliament", {}).get("skip", [])
        if issue not in [each["id"] for each in waived]:
            yield f"parliament {issue} {name}: {detail}"


def _run(*words: Any, said: str = "") -> list[str]:
    """What it prints; linters end with 1 or more when they find something."""
    done = subprocess.run(words, input=said, capture_output=True, text=True, check=False)
    if done.returncode and not done.stdout:
        raise RuntimeError(f"{words[0]} failed: {done.stderr[-2000:]}")
    return done.stdout.splitlines()


def main() -> int:
    """Print every finding; the answer is whether there was one."""
    linters = Path(sys.argv[1])
    count = 0
    for name, parameters in (("defaults", None), ("everything", EVERYTHING)):
        for finding in findings(linters, name, Stack(parameters).resources):
            count += 1
            sys.stdout.write(f"{name}: {finding}\n")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
