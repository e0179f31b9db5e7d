"""What a long document may cost: how many bytes its requests have at most, before any is sent."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.app.contents import Ready
from shared.app.long_pages import AROUND_BYTES
from shared.app.long_stages import Stage, Stages
from shared.app.too_long import TooLong
from shared.domain.document import Document, Failure
from shared.domain.ids import CustomId
from shared.domain.recipe_split import Split
from shared.domain.rendering import RenderError, system_prompt
from shared.domain.splitting import size_of
from shared.domain.text import LEAST_CHARS_PER_TOKEN

_AROUND_BYTES = 3_000
"""More than a request has around its prompt: parameters' names, a note, the tags of a text."""

Encoded = Callable[[str, CustomId], bytes]
"""A request with this prompt and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The requests that a document needs still: how many bytes each has at most, of as many as
    there may be, and how many there will be likely; about how many `bytes` they have all together,
    and bytes of a document of text like this one, if that is known. `failure` is why there are
    none, where that is none of its report."""

    sizes: list[int]
    likely: int
    bytes: int = 0
    text: int | None = None
    failure: Failure | None = None


class LongCosts:
    """Foretells the requests for long documents, by one recipe; it changes nothing."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def needed(self, document: Document, content: Ready, encoded: Encoded) -> Needed:
        """The requests that a long document needs still; none where it can't be split. Raises
        RenderError."""
        try:
            return self._needed(document, content, encoded)
        except TooLong as why:
            return Needed(sizes=[], likely=0, failure=why.failure)

    def if_split(
        self,
        document: Document,
        content: Ready,
        encoded: Encoded,
        whole: list[int],
    ) -> list[int]:
        """How many bytes the requests have at most for a document that needs one only, unless the
        provider finds it too long: no byte is more than one token."""
        if self._stages.recipe.split is Split.NEVER or sum(whole) <= self._stages.context:
            return whole
        try:
            return self._needed(document, content, encoded).sizes
        except (TooLong, RenderError):
            return whole

    def bound(self, size: int, around: int) -> list[int]:
        """The same where only the size of the document is known, and that of a request without its
        text."""
        if self._stages.recipe.split is Split.NEVER:
            return [around + size]
        room = max(self._stages.room, 1)
        count = size // max(room // 4, 1) + 2  # a piece has a quarter of the room at least
        return [*[around + size // count + 1] * count, *self.merges(count)]

    def merges(self, count: int) -> list[int]:
        """How many bytes the requests that merge so many parts have at most."""
        recipe = self._stages.recipe
        base = size_of(recipe.template) + size_of(system_prompt(recipe)) + _AROUND_BYTES
        return self._merges(count, base)

    def _needed(self, document: Document, content: Ready, encoded: Encoded) -> Needed:
        stage = self._stages.of(document, content)
        name = CustomId("x" * 64)
        if stage.prompt is not None:
            size = len(encoded(stage.prompt, name))
            return Needed(sizes=[size], likely=1, bytes=size)
        base = len(encoded(self._stages.rendered(content.input, ""), name))
        asked = [base + 2 * stage.sizes[number] for number in stage.missing]
        if len(stage.parts.counts) == 1:
            asked = [
                len(encoded(self._stages.piece_prompt(stage.pieces[number], content.input), name))
                for number in stage.missing
            ]
        if stage.pieces[0].pages and len(stage.parts.counts) == 1:
            return self._by_pages(stage, asked, base)
        merges = self._merges(len(stage.pieces), base)
        return Needed(
            sizes=[*asked, *merges],
            likely=len(asked) + 1,
            bytes=sum(asked),
            text=size_of(content.input.text),
        )

    def _by_pages(self, stage: Stage, asked: list[int], base: int) -> Needed:
        """The same for pages; `asked` are the bytes of the requests without them. Where a PDF isn't
        cut anew, its parts are billed as much as the model takes, at most."""
        around = AROUND_BYTES + size_of(stage.pieces[0].of)
        ranges = stage.paged.ranges if stage.paged else ()
        found = [ranges[number] for number in stage.missing] if ranges else []
        whole, count = stage.pieces[0].whole_size * 4 // 3, len(stage.pieces)
        most = [each.most_tokens for each in found] or [self._stages.context] * len(asked)
        sizes = [size + around + tokens for size, tokens in zip(asked, most, strict=True)]
        return Needed(
            sizes=[*sizes, *self._merges(len(stage.pieces), base)],
            likely=len(asked) + 1,
            bytes=sum(asked) + (sum(each.bytes for each in found) or whole * len(asked) // count),
            text=sum(stage.sizes),
        )

    def _merges(self, count: int, base: int) -> list[int]:
        sizes: list[int] = []
        while True:
            answers = count * self._stages.recipe.max_tokens * LEAST_CHARS_PER_TOKEN
            if answers <= self._stages.room or count < 2:
                return [*sizes, base + answers]
            needed = 2 * -(-answers // max(self._stages.room, 1)) + 1
            count = max(min(3 * count // 4, needed), 1)
            sizes += [base + answers // count + 1] * count
