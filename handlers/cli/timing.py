"""How long a job may take, in words: what is known of it before, which is little."""

from handlers.cli.wording import counted, span
from shared.app.load import Waiting
from shared.domain.duration import LONG_ANSWER, QUEUED_AT_ONCE, Pace
from shared.domain.recipe import Recipe

_OF_ANY = "most batches end within an hour, and none takes more than 24 hours"


def how_long(found: Waiting, batches: int, recipe: Recipe, past: Pace | None) -> str:
    """On one line; `past` is what this output's batches took so far."""
    size = found.bytes.total() / 1e6
    text = f"{counted(batches, 'batch')} of {size:,.1f} MB together; {_OF_ANY}"
    if past is not None:
        text += f"; this output's so far ({past.batches:,}) took {span(past.shortest)}"
        if past.longest > past.shortest:
            text += f" to {span(past.longest)}"
    if recipe.max_tokens > LONG_ANSWER:
        text += f"; an answer of {recipe.max_tokens:,} tokens may take more than an hour by itself"
    if found.requests.total() > QUEUED_AT_ONCE:
        text += (
            f"; the lowest tier queues {QUEUED_AT_ONCE:,} requests at a time, and the rest follows "
            "as these are done"
        )
    return text
