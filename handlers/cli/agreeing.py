"""The yes before money is spent: what may cost more than a threshold is sent only after one.

The threshold is compared with what it costs at most, a bound that holds; what is likely is a guess,
and where it is wrong is just where somebody wants to be asked.
"""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal

import click

from handlers.cli.faults import Fault
from handlers.cli.wording import money
from shared.domain.estimate import Estimate
from shared.domain.recipe import Recipe
from shared.domain.report import plain
from shared.wiring.settings import InvalidSettings, Settings

_THRESHOLD = "DOCMILL_ASK_ABOVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a person said beforehand: yes to any price, or to what costs no more than `above`."""

    yes: bool
    above: Decimal


def consent(*, yes: bool, ask_above: Decimal | None) -> Consent:
    """What the options say, else the environment. Raises Fault."""
    if ask_above is None:
        known = {_THRESHOLD: os.environ.get(_THRESHOLD, "")}
        try:
            ask_above = Settings.from_env(known).ask_above
        except InvalidSettings as error:
            raise Fault(str(error)) from None
    return Consent(yes=yes, above=ask_above)


def exposure(guess: Estimate, recipe: Recipe) -> Decimal | None:
    """What may be spent at most, in US dollars: `max_cost` is a limit too. None without a price."""
    if guess.at_most is None or recipe.max_cost is None:
        return guess.at_most
    return min(guess.at_most, recipe.max_cost)


def agreed(
    most: Decimal | None,
    given: Consent,
    *,
    pausing: AbstractContextManager[None] | None = None,
) -> bool:
    """Whether it may be sent; asks where it has to and somebody can answer.

    `most` is what it may cost, None where no price is known; `pausing` keeps a display away from
    the question. Raises Fault where it has to ask and nobody can answer.
    """
    if given.yes or (most is not None and most <= given.above):
        return True
    cost = "an unknown amount" if most is None else f"{money(most, digits=2)} at most"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Fault(
            f"this may cost {cost}, more than the ${plain(given.above)} spent without a yes, and "
            "nobody can be asked here; nothing was sent. Say --yes, or set --ask-above or "
            f"{_THRESHOLD}"
        )
    question = f"It may cost {cost}. Go on?"
    with pausing or nullcontext():
        return click.confirm(question, default=False, err=True)
