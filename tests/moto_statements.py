"""BatchExecuteStatement for moto, whose own takes no parameters in an INSERT and copies all tables.

Only what the adapter writes is known here, by the grammar of DynamoDB's reference; that a DynamoDB
reads it likewise is tested on one that was written by others (tests/adapters/test_dynamo_races.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from moto.dynamodb.exceptions import ConditionalCheckFailed, MockValidationException
from moto.dynamodb.models import DynamoDBBackend

_MOST = 25
_NAME = r"""["']?(\w+)["']?"""
_INSERT = re.compile(r"""INSERT INTO "([\w.-]+)" VALUE \{((?:'\w+': \?(?:, )?)+)\}""")
_UPDATE = re.compile(
    rf'UPDATE "([\w.-]+)"((?: SET {_NAME}=\?)+)((?: REMOVE {_NAME})*)'
    rf" WHERE {_NAME}=\?(?: AND {_NAME}=\?)*"
)


@contextmanager
def statements_understood() -> Iterator[None]:
    """While it lasts, every moto of this process answers them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoDBBackend, "batch_execute_statement", _all)
        yield


def _all(backend: DynamoDBBackend, statements: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not 0 < len(statements) <= _MOST:
        raise MockValidationException("Member must have length less than or equal to 25")
    return [_one(backend, statement) for statement in statements]


def _one(backend: DynamoDBBackend, said: Mapping[str, Any]) -> dict[str, Any]:
    statement, values = said["Statement"], said["Parameters"]
    if inserted := _INSERT.fullmatch(statement):
        return _insert(backend, inserted[1], re.findall(r"'(\w+)'", inserted[2]), values)
    if not _UPDATE.fullmatch(statement):
        return {"Error": {"Code": "ValidationError", "Message": f"not understood: {statement}"}}
    return _update(backend, statement, values, said.get("ReturnValuesOnConditionCheckFailure"))


def _insert(
    backend: DynamoDBBackend, table: str, names: Sequence[str], values: Sequence[Any]
) -> dict[str, Any]:
    try:
        backend.put_item(
            table,
            dict(zip(names, values, strict=True)),
            condition_expression="attribute_not_exists(pk)",
        )
    except ConditionalCheckFailed:
        message = "Duplicate primary key exists in table"
        return {"TableName": table, "Error": {"Code": "DuplicateItem", "Message": message}}
    return {"TableName": table}


def _update(
    backend: DynamoDBBackend, statement: str, values: Sequence[Any], shown: str | None
) -> dict[str, Any]:
    head, _, where = statement.partition(" WHERE ")
    table = head.split('"')[1]
    names = re.findall(rf" SET {_NAME}=", head)
    asked = dict(zip(re.findall(rf"{_NAME}=\?", where), values[len(names) :], strict=True))
    found = backend.get_item(table, {name: asked[name] for name in ("pk", "sk")})
    item: dict[str, Any] = found.to_json()["Attributes"] if found else {}
    if found is None or any(item.get(name) != value for name, value in asked.items()):
        error: dict[str, Any] = {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
        }
        if shown == "ALL_OLD" and item:
            error["Item"] = item
        return {"TableName": table, "Error": error}
    item |= dict(zip(names, values[: len(names)], strict=True))
    for name in re.findall(rf" REMOVE {_NAME}", head):
        item.pop(name, None)
    backend.put_item(table, item, overwrite=True)
    return {"TableName": table}
