"""Budgets of functions; tests/infra/test_packages.py measures packages against some of them."""

import pytest

from infra.package import SERVICES
from tests.bench.budgets import budgets, exceeded


def test_every_function_has_a_budget_and_imports_within_half_a_second() -> None:
    assert budgets().keys() == SERVICES.keys()
    assert all(each["import_ms"] <= 500 for each in budgets().values())


def test_what_is_above_its_budget_is_named() -> None:
    allowed = budgets()["Intake"]
    assert exceeded("Intake", allowed) == []
    [line] = exceeded("Intake", allowed | {"import_ms": 501})
    assert line == "Intake: import_ms is 501.0, more than 500"


def test_what_has_no_budget_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        exceeded("Intake", {"import_sdk_ms": 1})
