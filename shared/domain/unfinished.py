"""A report that stopped at `max_tokens` and is to be continued: what is there of it, and how the
next answer is joined to it."""

from decimal import Decimal
from typing import Any, Final

from shared.domain.catalog import Usage
from shared.domain.ids import CustomId, ProviderId
from shared.domain.names import REPORT_SUFFIX
from shared.domain.record import Record

GO_ON: Final = (
    "Your answer was cut off because it reached the limit of its length. Go on exactly where it "
    "stopped, with the very next character, as if there had been no break: repeat nothing of what "
    "you wrote, say nothing about the break, and end as the task asks."
)
"""A message of its own: newer models refuse a conversation that ends with their own words
(API reference, errors, prefill not supported)."""

_LEAST_OVERLAP: Final = 24
_LEAST_DISTINCT: Final = 8
_MOST_OVERLAP: Final = 4_000
"""Characters that are taken for a repetition, ours: less may be there twice by right, as words,
rules of a table and closing brackets are."""


class Unfinished(Record, frozen=True, kw_only=True):
    """What a document remembers of it: the request that was answered last, by which its text is
    kept; the digest of the content it was made from; how many answers it has come from; what the
    name of its report ends in, None where there is none before it is whole."""

    custom_id: CustomId
    digest: str
    count: int
    suffix: str | None = REPORT_SUFFIX


class KeptText(Record, frozen=True, kw_only=True):
    """The text so far, and what it cost. `custom_id` is the request that was answered last, `cost`
    None where a price isn't known. It can only be continued by the recipe of this `fingerprint`."""

    custom_id: CustomId
    text: str
    model: str
    stop_reason: str
    usage: Usage
    cost: Decimal | None
    fingerprint: str
    provider_id: ProviderId | None
    same_request_as: str | None = None


def continuation(params: dict[str, Any], text: str) -> dict[str, Any]:
    """The request that goes on where `text`, the answer so far, was cut off.

    It is asked for as text: half an object can't be told to keep to a schema that it began.
    """
    messages = [
        *params["messages"],
        {"role": "assistant", "content": text},
        {"role": "user", "content": GO_ON},
    ]
    after = {**params, "messages": messages}
    if isinstance(config := after.pop("output_config", None), dict):
        rest = {key: value for key, value in config.items() if key != "format"}
        after |= {"output_config": rest} if rest else {}
    return after


def join(text: str, more: str) -> str:
    """Both as one text. What `more` repeats of the end of `text` stands in it once.

    Only what is long, and not there several times anyway, counts as repeated: text is rather
    there twice than lost.
    """
    ending, beginning = text[-_MOST_OVERLAP:], more[:_MOST_OVERLAP]
    borders = _borders(beginning)
    size = _overlap(ending, beginning, borders)
    repeated = more[:size]
    if size < _LEAST_OVERLAP or len(set(repeated)) < _LEAST_DISTINCT:
        return text + more
    goes_round = 2 * borders[size - 1] >= size
    if goes_round or text[:-size].endswith(repeated) or more[size:].startswith(repeated):
        return text + more
    return text + more[size:]


def _borders(text: str) -> list[int]:
    """For each beginning of the text, how much of its end it begins with (Knuth, Morris, Pratt)."""
    borders = [0] * len(text)
    matched = 0
    for place in range(1, len(text)):
        while matched and text[place] != text[matched]:
            matched = borders[matched - 1]
        matched += text[place] == text[matched]
        borders[place] = matched
    return borders


def _overlap(text: str, more: str, borders: list[int]) -> int:
    """The length of the longest end of `text` that `more` begins with."""
    matched = 0
    for character in text:
        while matched and (matched == len(more) or character != more[matched]):
            matched = borders[matched - 1]
        matched += bool(more) and character == more[matched]
    return matched
