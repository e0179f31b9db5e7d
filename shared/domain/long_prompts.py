"""What the requests for a long document say besides the recipe's prompt, and how much fits in."""

from typing import Final

from shared.domain.recipe import Recipe
from shared.domain.rendering import system_prompt
from shared.domain.splitting import size_of
from shared.domain.template_tags import bare_prints

_TOKENS_AROUND: Final = 1_000
"""What the provider may put around a prompt of ours (assumption; some hundreds have been seen)."""

_NOTE_BYTES: Final = 1_000
"""More than any of the notes below has, with the tags around the text."""


def tokens_of(size: int) -> int:
    """How many tokens so many bytes are taken to be: more than of any usual text (heuristic).

    English has 4 bytes a token, code and tables 3, Chinese and Japanese 2.5 to 3.
    """
    return size * 2 // 5


def room_for_text(recipe: Recipe, context: int) -> int:
    """How many bytes of text a request has room for, beside its prompt and its answer."""
    tokens = context - recipe.max_tokens - _TOKENS_AROUND
    fixed = size_of(recipe.template) + size_of(system_prompt(recipe)) + _NOTE_BYTES
    printed = bare_prints(recipe.template)
    return (tokens * 5 // 2 - fixed) // max(1, printed["text"] if printed else 1)


def room_for_pages(prompt: str, recipe: Recipe, context: int) -> int:
    """How many tokens of pages a request has room for, beside its prompt and its answer."""
    size = size_of(prompt) + size_of(system_prompt(recipe, attached=True))
    return context - recipe.max_tokens - _TOKENS_AROUND - tokens_of(size + _NOTE_BYTES)


def fits(prompt: str, recipe: Recipe, context: int) -> bool:
    """Whether a prompt leaves room for its answer."""
    size = size_of(prompt) + size_of(system_prompt(recipe))
    return tokens_of(size) + recipe.max_tokens + _TOKENS_AROUND <= context


def part_note(number: int, count: int) -> str:
    """Below the prompt of a part of the text."""
    return (
        f"The document is too long for one request. This is part {number + 1} of {count}; the "
        "other parts are asked about separately, and all answers are then merged into one. Do the "
        "task for this part. Keep whatever the answer about the whole document will need: names, "
        "numbers, dates and quotes exactly, with their place. Where something can only be judged "
        "with the other parts, say what is open instead of judging."
    )


def merge_note(count: int) -> str:
    """Below the prompt of the last request, whose answer becomes the report."""
    return (
        "The document was too long for one request. Where its text belongs stand the answers that "
        f"were given about its {count} parts, in their order, each below a line that names its "
        "part. From them do the task for the whole document, in the form that it asks for: bring "
        "together what belongs together, say once what several parts say, settle what one part "
        "left open and another answers, and don't speak of parts."
    )


def run_note(number: int, count: int) -> str:
    """Below the prompt of a merge that is merged further."""
    return (
        "The document was too long for one request. Where its text belongs stand answers that were "
        f"given about a run of its parts, in their order (run {number + 1} of {count}). Bring them "
        "together into one answer of the same form, which is then merged with those about the "
        "other runs: say once what several say, and keep whatever the answer about the whole "
        "document will need: names, numbers, dates and quotes exactly, with their place."
    )


def joined(answers: list[str]) -> str:
    """Answers as one text, each below a line that names it."""
    count = len(answers)
    named = (
        f"[Part {number} of {count}]\n\n{each.strip()}" for number, each in enumerate(answers, 1)
    )
    return "\n\n".join(named) + "\n"


def runs(sizes: list[int], room: int) -> list[int] | None:
    """Where runs of answers end that fit into one request each, evenly filled; None where that
    brings too few together to come to an end."""
    total = sum(sizes)
    share = -(-total // -(-total // max(room, 1)))
    ends: list[int] = []
    filled = start = 0
    for number, size in enumerate(sizes):
        if number > start and (filled + size > room or filled >= share):
            ends.append(number)
            start, filled = number, 0
        filled += size
    ends.append(len(sizes))
    return ends if max(sizes) <= room and 4 * len(ends) <= 3 * len(sizes) else None
