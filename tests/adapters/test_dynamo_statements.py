from typing import Any

import pytest

from shared.adapters.dynamo_statements import Told, told, write

ITEM = {"pk": {"S": "p"}, "sk": {"S": "s"}, "rev": {"N": "8"}, "group": {"S": "g"}}
FOUND = {"gsi1pk": {"S": "W"}, "gsi1sk": {"S": "o"}}


def test_a_first_write_inserts_every_attribute() -> None:
    said = write("t", ITEM | FOUND, rev=0, token="k")
    assert said == {
        "Statement": "INSERT INTO \"t\" VALUE {'pk': ?, 'sk': ?, 'rev': ?, 'group': ?, "
        "'gsi1pk': ?, 'gsi1sk': ?, 'token': ?}",
        "Parameters": [*ITEM.values(), *FOUND.values(), {"S": "k"}],
    }


def test_a_later_write_is_conditional_and_takes_out_of_the_index_what_left_it() -> None:
    said = write("t", ITEM, rev=7, token="k")
    assert said["Statement"] == (
        'UPDATE "t" SET "rev"=? SET "group"=? SET "token"=? REMOVE "gsi1pk" REMOVE "gsi1sk"'
        " WHERE pk=? AND sk=? AND rev=?"
    )
    assert said["Parameters"] == [
        *({"N": "8"}, {"S": "g"}, {"S": "k"}),
        *({"S": "p"}, {"S": "s"}, {"N": "7"}),
    ]
    assert "REMOVE" not in write("t", ITEM | FOUND, rev=7, token="k")["Statement"]


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"TableName": "t", "Error": {"Code": code, "Message": "m", **more}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"TableName": "t"}, Told.WON),
        (error("ConditionalCheckFailed"), Told.LOST),
        (error("ConditionalCheckFailed", Item={"token": {"S": "other"}}), Told.LOST),
        (error("ConditionalCheckFailed", Item={"token": {"S": "mine"}}), Told.WON),
        (error("DuplicateItem"), Told.MET),
        (error("DuplicateItem", Item={"token": {"S": "mine"}}), Told.WON),
        (error("ThrottlingError"), Told.BUSY),
        (error("ProvisionedThroughputExceeded"), Told.BUSY),
        (error("RequestLimitExceeded"), Told.BUSY),
        (error("TransactionConflict"), Told.BUSY),
        (error("InternalServerError"), Told.BUSY),
        (error("ValidationError"), Told.REFUSED),
        (error("AccessDenied"), Told.FAILED),
        (error("ResourceNotFound"), Told.FAILED),
        (error("NeverHeardOf"), Told.FAILED),
    ],
)
def test_every_answer_is_told_apart(answer: dict[str, Any], expected: Told) -> None:
    assert told(answer, "mine") is expected
