"""Many conditional writes in one call, as PartiQL statements, each succeeding or failing alone.

A call of PutItem costs as much CPU here as 25 statements in one BatchExecuteStatement, and the
table charges both alike. A transaction would cost the table twice as much, and one lost race in it
would undo all others.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from shared.adapters.dynamo_keys import Item, number, text

PER_CALL = 25
"""Statements per BatchExecuteStatement (DynamoDB quota)."""

_BUSY = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceeded",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
)

_KEY = ("pk", "sk")
_SPARSE = ("gsi1pk", "gsi1sk")
"""Attributes that an item has only as long as an index is to find it."""


def key_of(item: Item) -> Item:
    """The primary key of an item that has more."""
    return {name: item[name] for name in _KEY}


def write(table: str, item: Item, *, rev: int, token: str) -> dict[str, Any]:
    """Write an item if the stored one has this revision; 0: if none is stored."""
    item = item | {"token": text(token)}
    if not rev:
        shown = ", ".join(f"'{name}': ?" for name in item)
        statement = f'INSERT INTO "{table}" VALUE {{{shown}}}'
        return {"Statement": statement, "Parameters": list(item.values())}
    changed = [name for name in item if name not in _KEY]
    parts = [f'SET "{name}"=?' for name in changed]
    parts += [f'REMOVE "{name}"' for name in _SPARSE if name not in item]
    return {
        "Statement": f'UPDATE "{table}" {" ".join(parts)} WHERE pk=? AND sk=? AND rev=?',
        "Parameters": [
            *(item[name] for name in changed),
            *(item[name] for name in _KEY),
            number(rev),
        ],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


class Told(Enum):
    """What became of one statement. Codes: the API reference of BatchStatementError."""

    WON = auto()
    LOST = auto()
    MET = auto()
    """Something stands there; whose, the answer doesn't say."""
    BUSY = auto()
    """Ask again: it was not done, or nobody can say."""
    REFUSED = auto()
    """The table doesn't take such a statement, or such an item."""
    FAILED = auto()


def told(response: Mapping[str, Any], token: str) -> Told:
    """What one statement's answer says of a write under this token."""
    error = response.get("Error")
    if error is None:
        return Told.WON
    code = error.get("Code")
    if code in _BUSY:
        return Told.BUSY
    if code == "ValidationError":
        return Told.REFUSED
    if code not in {"ConditionalCheckFailed", "DuplicateItem"}:
        return Told.FAILED
    if "Item" in error:
        return Told.WON if error["Item"].get("token") == text(token) else Told.LOST
    return Told.LOST if code == "ConditionalCheckFailed" else Told.MET
