"""The template as CloudFormation gets it, with the parameters' defaults; written by running it."""

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from tests.aws import REGION, environment, template

Resources = dict[str, dict[str, Any]]


@cache
def translated() -> dict[str, Any]:
    """What SAM makes of the template. Conditions and references stay as they are."""
    with environment():
        from samtranslator.parser.parser import Parser  # noqa: PLC0415 - costs 4 s
        from samtranslator.translator.translator import Translator  # noqa: PLC0415

        session = boto3.Session(region_name=REGION)
        packaged = template()
        packaged["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
        defaults = {name: str(each["Default"]) for name, each in packaged["Parameters"].items()}
        found: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(
            packaged, defaults
        )
        return found


def of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of each resource of a type."""
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def listed(value: Any) -> list[Any]:
    """IAM's lists of one may be written without the list."""
    return value if isinstance(value, list) else [value]


def holding(name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping that has something of that name, wherever it stands."""
    if isinstance(value, dict):
        if name in value:
            yield value
        for each in value.values():
            yield from holding(name, each)
    elif isinstance(value, list):
        for each in value:
            yield from holding(name, each)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(translated(), indent=1), encoding="utf-8")
