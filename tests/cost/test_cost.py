"""What a million documents cost, from a run that is counted, against the promise and the README."""

import re
from decimal import Decimal

import pytest

from shared.adapters.builtin import builtin_recipes
from tests.cost.bill import (
    Loads,
    assumed,
    counted,
    lines,
    load_units,
    month_units,
    prices,
    total,
    uploads_units,
)
from tests.cost.load import RECIPE
from tests.cost.table import END, README, in_readme, rendered

MOST_USD = 12
_DOCUMENTS = 80
_DIME = Decimal("0.10")
_NEAR = Decimal("0.04")
"""Small loads differ by this share: a query's last page is rounded up, a group is touched again."""


@pytest.fixture(scope="module")
def loads() -> Loads:
    return counted(_DOCUMENTS)


def dollars(text: str) -> dict[str, Decimal]:
    """The last column by the first two."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]*)\|.*\| \**([\d.]+)\** \|$", text, re.MULTILINE)
    return {f"{service} {what}".strip("* "): Decimal(usd) for service, what, usd in rows}


def test_a_million_documents_cost_at_most_twelve_dollars_beside_their_uploads(loads: Loads) -> None:
    assert total(lines(load_units(loads, documents=1_000_000))) <= MOST_USD


def test_every_document_is_read_written_and_paid_for_as_often_as_it_has_to_be(loads: Loads) -> None:
    units = load_units(loads, documents=1_000_000)
    assert units["s3_write"] == pytest.approx(1_000_000, rel=0.001)
    assert units["s3_read"] == pytest.approx(3_000_000, rel=0.02)
    assert units["sqs_request"] == pytest.approx(1_200_000, rel=0.02)
    assert units["table_write"] < 5_600_000, "more than two to wait, two to be sent, one to end"


def test_the_readme_shows_what_is_counted(loads: Loads) -> None:
    assert README.read_text(encoding="utf-8").count(END) == 1
    now, told = dollars(rendered(loads)), dollars(in_readme())
    named = {name for name, usd in (now | told).items() if usd >= _DIME}
    assert {"docmill", "a month", "S3 PUT, POST, LIST"} <= named
    for name in named:
        near = abs(now.get(name, Decimal(0)) - told.get(name, Decimal(0)))
        assert near <= max(_NEAR * now.get(name, Decimal(0)), _DIME), (
            f"{name}: run `make cost WRITE=1`"
        )


def test_uploads_are_shown_and_not_counted_as_docmills() -> None:
    assert total(lines(uploads_units(1_000_000))) == 5


def test_a_month_at_rest_is_what_the_template_declares(loads: Loads) -> None:
    month = {f"{line.service} {line.what}": line for line in lines(month_units(loads.many))}
    assert month["EventBridge ticks of the Scheduler"].count == 730 * (6 + 60 + 12)
    assert month["CloudWatch alarms"].usd == month["CloudWatch alarms"].count / 10


def test_what_has_no_price_is_not_passed_over() -> None:
    with pytest.raises(AssertionError, match="no price"):
        lines({"something": 1})


def test_the_readme_says_by_which_recipe_and_what_a_longer_one_adds() -> None:
    told = " ".join(README.read_text(encoding="utf-8").split())
    assert f"by a recipe of {len(RECIPE)}, without the model" in in_readme()
    text = builtin_recipes()["project-analysis"].encode()
    sent = {"byte_out": 1_000_000 * (len(text) - len(RECIPE))}
    [said] = re.findall(r"`project-analysis` (\d\.\d) dollars", told)
    assert abs(total(lines(sent)) - Decimal(said)) <= Decimal("0.05")


def test_the_price_list_says_how_it_is_known_and_where_to_check_it() -> None:
    assert prices()["known"] in in_readme()
    assert prices()["region"]
    assert all(each["source"].startswith("https://aws.amazon.com/") for each in prices()["prices"])
    assert len({each["unit"] for each in prices()["prices"]}) == len(prices()["prices"])
    assert assumed()["documents"] == 1_000_000
