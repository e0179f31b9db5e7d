from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from handlers.cli.wording import (
    SENTENCES,
    Telling,
    about,
    closing,
    counted,
    moment,
    money,
    priced,
    sentence,
    span,
)
from shared.adapters.builtin import catalog
from shared.domain.estimate import estimate
from shared.domain.group import Load
from shared.domain.recipe import Recipe, parse_recipe
from tests.handlers.cli.jobs import job

NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)


def recipe(max_tokens: int = 8192, model: str = "claude-sonnet-5") -> Recipe:
    text = f"---\nmodel: {model}\nmax_tokens: {max_tokens}\n---\n{{{{ document.text }}}}\n"
    return parse_recipe(text, name="review.md", catalog=catalog())


@pytest.mark.parametrize(
    ("amount", "digits", "said"),
    [
        ("0", 4, "$0.00"),
        ("0.00001", 4, "less than $0.0001"),
        ("0.0001", 4, "$0.0001"),
        ("0.0099", 2, "less than $0.01"),
        ("0.014", 2, "$0.01"),
        ("1234.5", 2, "$1,234.50"),
    ],
)
def test_an_amount_is_never_said_to_be_nothing_when_it_is_something(
    amount: str, digits: int, said: str
) -> None:
    assert money(Decimal(amount), digits=digits) == said


def test_one_is_singular() -> None:
    assert [counted(n, "request") for n in (0, 1, 2000)] == [
        *("0 requests", "1 request", "2,000 requests")
    ]
    assert counted(2, "batch") == "2 batches"
    facts: dict[str, object] = {"batch": "b", "requests": 1, "bytes": 4096}
    assert sentence("batch_submitting", facts) == "submitting batch b: 1 request, 4,096 bytes"
    assert closing(job({}), "out", simulated=False).startswith("0 of 0 documents reported")


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (timedelta(minutes=5), "12:05:00 UTC"),
        (timedelta(hours=13), "2026-11-26 01:00:00 UTC"),
    ],
)
def test_a_pause_is_told_as_a_time_of_day_and_with_its_date_on_another(
    later: timedelta, said: str
) -> None:
    assert moment(NOW + later, now=NOW) == said
    facts: dict[str, object] = {"until": (NOW + later).isoformat(), "message": "slow down"}
    told = sentence("submitting_paused", facts, now=NOW)
    assert told == f"submitting waits until {said}: slow down"


def test_hours_are_not_cut_into_days() -> None:
    assert span(timedelta(hours=26, minutes=3, seconds=4, microseconds=9)) == "26:03:04"


def test_an_amount_in_an_event_is_said_as_any_other() -> None:
    facts = {"batch": "b", "reported": 1000, "failed": 0, "retried": 0, "cost_usd": "0.00002"}
    told = sentence("batch_collected", dict(facts))
    assert told is not None
    assert told.endswith("1,000 reported, 0 failed, 0 to be tried again, less than $0.0001")


def guess(recipe: Recipe, documents: int, at_most: str, report_tokens: int | None = None) -> str:
    load = Load(documents=documents, bytes=documents * 4000)
    priced_at = Decimal(at_most) if catalog().find(recipe.model) else None
    found = estimate(load, recipe, catalog(), at_most=priced_at, report_tokens=report_tokens)
    return priced(found, recipe, simulated=False, so_far=report_tokens is not None)


def test_the_price_begins_with_the_recipe_and_the_model() -> None:
    said = guess(recipe(), 29, "1.23")
    assert said.startswith("recipe review.md, claude-sonnet-5: 29 documents, about ")
    assert "if reports run to 2,000 tokens, at most $1.23, with each at all 8,192 tokens" in said


def test_the_price_takes_a_short_report_and_an_unknown_price_as_they_are() -> None:
    said = guess(recipe(max_tokens=500), 1, "0.003")
    assert ": 1 document, about " in said
    assert said.count("$") == 1
    assert "at most less than $0.01, with each report at all 500 tokens it may have" in said
    said = guess(recipe(model="another-model"), 1, "1")
    assert said.endswith("the price of another-model is not known")
    said = guess(recipe(), 1, "1", report_tokens=1234)
    assert "if reports run to 1,234 tokens, as so far, at most $1.00" in said


def test_what_is_less_than_a_cent_is_not_about_that() -> None:
    said = guess(recipe(), 1, "1", report_tokens=1)
    assert "; less than $0.01 (less than $0.01 without batches) if reports run to" in said


def test_a_guess_of_less_than_a_cent_is_no_about_either() -> None:
    assert about(Decimal("0.004")) == "less than $0.01"
    assert about(Decimal("0.014")) == "about $0.01"


def test_reports_of_another_recipe_are_kept_be_they_one_or_many() -> None:
    event = "reports_of_another_recipe"
    one, many = (sentence(event, {"reports": number}) for number in (1, 132))
    told = "made by another recipe or model, and kept; for new ones use another --out"
    assert (one, many) == (f"1 report {told}", f"132 reports {told}")


def test_once_the_key_or_the_address_is_refused_nothing_is_said_to_wait() -> None:
    until = (NOW + timedelta(minutes=5)).isoformat()
    telling = Telling()
    put_off: dict[str, object] = {"batch": "b", "message": "cut"}
    pause: dict[str, object] = {"until": until, "message": "slow down", "reason": "rate_limit"}
    assert telling.sentence("submitting_paused", pause)
    assert telling.sentence("collecting_put_off", put_off)
    assert telling.sentence("submitting_paused", pause | {"reason": "access"}) is None
    assert telling.sentence("collecting_put_off", put_off) is None
    assert telling.sentence("batch_ended", {"batch": "b"})


def test_the_price_names_the_limit_of_the_recipe() -> None:
    limited = replace(recipe(), max_cost=Decimal(5))
    assert guess(limited, 1, "4").endswith("; max_cost keeps all of the job to $5.00")
    said = guess(limited, 3, "9")
    assert "to $5.00, so it may go in parts, each after" in said


def test_the_price_says_that_answers_which_do_not_fit_are_paid_for_too() -> None:
    short = recipe(max_tokens=500)
    load = Load(documents=1, bytes=4000)
    found = estimate(load, short, catalog(), at_most=Decimal("0.30"), tries=3)
    said = priced(found, short, simulated=False, so_far=False)
    assert "if reports run to 500 tokens, at most $0.30, with each at all 500 tokens" in said
    assert said.endswith("it may have, 3 times, as one that doesn't fit its fields is paid for too")


def test_events_for_programs_have_no_sentence() -> None:
    assert sentence("progressed", {}) is None
    assert "progressed" not in SENTENCES
