"""BatchExecuteStatement for moto, whose own takes no parameters in an INSERT and copies all tables.

Only what the adapter writes is known here, by the grammar of DynamoDB's reference; that a DynamoDB
reads it likewise is tested on one that was written by others (tests/adapters/test_dynamo_races.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One statement: what it asks of the stored item (nothing: that there is none), and what it
    sets and removes."""

    table: str
    asked: Mapping[str, Any]
    sets: Mapping[str, Any]
    removed: Sequence[str] = ()

    @property
    def key(self) -> dict[str, Any]:
        """The item's primary key."""
        given = self.asked or self.sets
        return {name: given[name] for name in ("pk", "sk")}

    def after(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """The item once it is done."""
        item = {**before, **self.sets}
        return {name: value for name, value in item.items() if name not in self.removed}


def parsed(said: Mapping[str, Any]) -> Parsed | None:
    """A statement with its parameters; None for one that isn't known here."""
    statement, values = said["Statement"], said["Parameters"]
    if inserted := _INSERT.fullmatch(statement):
        names = re.findall(r"'(\w+)'", inserted[2])
        return Parsed(table=inserted[1], asked={}, sets=dict(zip(names, values, strict=True)))
    if not (updated := _UPDATE.fullmatch(statement)):
        return None
    head, _, where = statement.partition(" WHERE ")
    names = re.findall(rf" SET {_NAME}=", head)
    return Parsed(
        table=updated[1],
        asked=dict(zip(re.findall(rf"{_NAME}=\?", where), values[len(names) :], strict=True)),
        sets=dict(zip(names, values[: len(names)], strict=True)),
        removed=re.findall(rf" REMOVE {_NAME}", head),
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
    statement = parsed(said)
    if statement is None:
        message = f"not understood: {said['Statement']}"
        return {"Error": {"Code": "ValidationError", "Message": message}}
    if not statement.asked:
        return _insert(backend, statement)
    return _update(backend, statement, said.get("ReturnValuesOnConditionCheckFailure"))


def _insert(backend: DynamoDBBackend, statement: Parsed) -> dict[str, Any]:
    try:
        backend.put_item(
            statement.table,
            dict(statement.sets),
            condition_expression="attribute_not_exists(pk)",
        )
    except ConditionalCheckFailed:
        message = "Duplicate primary key exists in table"
        return {
            "TableName": statement.table,
            "Error": {"Code": "DuplicateItem", "Message": message},
        }
    return {"TableName": statement.table}


def _update(backend: DynamoDBBackend, statement: Parsed, shown: str | None) -> dict[str, Any]:
    found = backend.get_item(statement.table, statement.key)
    item: dict[str, Any] = found.to_json()["Attributes"] if found else {}
    if found is None or any(item.get(name) != value for name, value in statement.asked.items()):
        error: dict[str, Any] = {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
        }
        if shown == "ALL_OLD" and item:
            error["Item"] = item
        return {"TableName": statement.table, "Error": error}
    backend.put_item(statement.table, statement.after(item), overwrite=True)
    return {"TableName": statement.table}
