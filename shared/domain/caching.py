"""What all requests of a recipe begin with, and the mark by which the provider caches it.

A prompt that is written to the cache for an hour costs twice as much there, one that is read a
tenth. In a batch hits are best effort, so it pays from about every other request on (53 %).
"""

from typing import Any, Final

from shared.domain.catalog import Model
from shared.domain.record import Record

FEW: Final = 8
"""Fewer requests than this aren't marked: ours. Were seven of ten others read, four would be even,
and eight save a sixth of what is shared."""

_BYTES_PER_TOKEN: Final = 5
"""Cautious the other way round: rather too few tokens than a mark that does nothing."""

_MARK: Final = {"type": "ephemeral", "ttl": "1h"}
MARK_BYTES: Final = 200
"""More than the marks and the blocks that carry them add to a request."""


class Shared(Record, frozen=True, kw_only=True):
    """What the requests of a recipe share: the system prompt, and the `prefix` of the prompt, empty
    where the mark belongs behind the system prompt. `size` are the bytes before the mark."""

    prefix: str
    size: int


def shared_by(model: Model | None, system: str, template: str) -> Shared | None:
    """What is worth a mark; None where that is too short for the model, or its limit isn't known.

    One mark behind all that is shared does what several would: a read reaches back from there.
    """
    least = model.min_cacheable_tokens if model is not None else None
    if least is None:
        return None
    before = len(system.encode())
    prefix = _beginning(template)
    size = before + len(prefix.encode())
    if size < least * _BYTES_PER_TOKEN:
        return None
    return Shared(prefix=prefix, size=size)


def marked(params: dict[str, Any], shared: Shared) -> dict[str, Any]:
    """The parameters with a mark behind what they share; as they are where there is no such place.

    The same parameters always get the same mark.
    """
    [first, *others] = params["messages"]
    content = first["content"]
    if not shared.prefix:
        system = {"type": "text", "text": params["system"], "cache_control": _MARK}
        return {**params, "system": [system]}
    if not isinstance(content, str) or not content.startswith(shared.prefix):
        return params
    rest = content[len(shared.prefix) :]
    if not rest.strip():
        return params
    blocks = [
        {"type": "text", "text": shared.prefix, "cache_control": _MARK},
        {"type": "text", "text": rest},
    ]
    return {**params, "messages": [{**first, "content": blocks}, *others]}


def _beginning(template: str) -> str:
    """The lines before the first tag: every prompt begins with them, whatever the document."""
    ends = [place for tag in ("{{", "{%", "{#") if (place := template.find(tag)) >= 0]
    first = min(ends, default=len(template))
    if template.startswith("-", first + 2):  # it takes the white space before it away
        return template[: template.rfind("\n", 0, len(template[:first].rstrip())) + 1]
    return template[: template.rfind("\n", 0, first) + 1]
