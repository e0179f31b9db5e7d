"""Units as AWS's own examples count them."""

import pytest

from shared.adapters.dynamo_keys import Item
from tests.cost.meter import item_bytes, write_units


def item(size: int, **more: str) -> Item:
    """An item of that many bytes but for `more`."""
    found: Item = {"pk": {"S": "p"}, "sk": {"S": "s"}, "t": {"S": ""}}
    found["t"]["S"] = "x" * (size - item_bytes(found))
    return found | {name: {"S": value} for name, value in more.items()}


INDEXED = {"gsi1pk": "WAITING", "gsi1sk": "a"}


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, item(1024), 1),
        (None, item(1025), 2),
        (item(3000), item(100), 3),
        (item(3000), None, 3),
        (None, item(100, **INDEXED), 2),
        (item(100, **INDEXED), item(100), 2),
        (item(100, **INDEXED), item(100, **INDEXED), 1),
        (item(100, **INDEXED), item(101, **INDEXED), 2),
        (item(100, **INDEXED), item(100, **INDEXED | {"gsi1sk": "b"}), 3),
        (item(100, gsi2pk="P"), item(101, gsi2pk="P"), 1),
    ],
)
def test_a_write_is_counted_in_the_table_and_in_each_index_that_it_touches(
    before: Item | None, after: Item | None, units: int
) -> None:
    assert write_units(before, after) == units


def test_names_and_values_are_measured_in_bytes() -> None:
    assert item_bytes({"é": {"S": "ü"}, "n": {"N": "1795629515348820"}}) == 4 + 1 + 9
    assert item_bytes({"d": {"B": "AAAA"}}) == 1 + 3
