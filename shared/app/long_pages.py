"""A PDF that is too long for one request: into which ranges of pages it is cut, and each of them.

Nothing of a range is kept but its record: whoever asks about it has the PDF at hand, which is read
once for parts that follow each other, and cuts that range out of it.
"""

from typing import Final

import msgspec

from shared.app.contents import Pdf, Ready
from shared.app.deps import Deps
from shared.app.too_long import TooLong
from shared.domain.attachment import Attachment, most_pages
from shared.domain.long_prompts import room_for_pages
from shared.domain.page_ranges import Paged, Room
from shared.domain.parts import Part
from shared.domain.recipe import Recipe
from shared.domain.rendering import request_params
from shared.domain.splitting import size_of
from shared.ports.converter import Unconvertible

AROUND_BYTES: Final = 4_000
"""More than a request has besides for a PDF that is attached: its block, the word on attachments,
a name and a note. Its title comes on top of it."""

_LONGEST_ESCAPE: Final = 6
_encode = msgspec.json.Encoder().encode


class LongPages:
    """Cuts PDFs by pages, by one recipe; it changes nothing."""

    def __init__(self, deps: Deps, recipe: Recipe, context: int) -> None:
        self._deps = deps
        self._recipe = recipe
        self._context = context
        self._found: tuple[str, Room, Paged] | None = None

    def is_beyond(self, content: Ready) -> bool:
        """Whether it has more pages or bytes than a request takes, or likely more tokens than the
        model does."""
        if content.pdf is None:
            return False
        attached = content.input.attachments
        tokens = sum(each.likely_tokens for each in attached) + self._recipe.max_tokens
        size = sum(len(each.data) for each in attached) + self._around(content.pdf, "")
        return (
            content.pdf.is_beyond
            or tokens > self._context
            or size > self._deps.policy.max_request_bytes
        )

    def ranges(self, content: Ready, prompt: str) -> Paged:
        """The ranges of its pages, two at least, so that each fits beside the prompt. Raises
        TooLong."""
        if content.pdf is None:
            raise AssertionError("only a PDF is cut by pages")
        room = Room(
            pages=most_pages(self._context),
            tokens=room_for_pages(prompt, self._recipe, self._context),
            bytes=self._deps.policy.max_request_bytes - self._around(content.pdf, prompt),
        )
        if room.tokens <= 0 or room.bytes <= 0:
            raise TooLong(
                f"the prompt and max_tokens of {self._recipe.max_tokens:,} leave no room for pages "
                f"of it in the model's {self._context:,} tokens; lower max_tokens"
            )
        found = self._ranges(content.digest, content.pdf, room)
        if len(found.ranges) > 1:
            return found
        if found.pages == 1:
            raise TooLong("it has one page, which is too long for one request; split that page")
        # What the provider calls too long isn't sent whole again.
        halves = msgspec.structs.replace(room, pages=-(-found.pages // 2))
        return self._ranges(content.digest, content.pdf, halves)

    def cut(self, part: Part, content: Ready) -> Attachment:
        """The pages of one part. Raises TooLong."""
        pdf = content.pdf
        if pdf is None:
            raise AssertionError(f"part {part.number} of {part.of} has no PDF")
        try:
            return self._deps.converter.cut_pdf(pdf.name, pdf.data, start=part.start, end=part.end)
        except Unconvertible as error:
            raise _as_too_long(error) from error

    def _ranges(self, digest: str, pdf: Pdf, room: Room) -> Paged:
        """What was found last is asked for again: to tell what it costs, and to write its parts."""
        if self._found is not None and self._found[:2] == (digest, room):
            return self._found[2]
        try:
            found = self._deps.converter.page_ranges(pdf.name, pdf.data, room)
        except Unconvertible as error:
            raise _as_too_long(error) from error
        self._found = (digest, room, found)
        return found

    def _around(self, pdf: Pdf, prompt: str) -> int:
        """How many bytes a request has at most besides its pages."""
        asked = prompt or self._recipe.template
        size = len(_encode(request_params(self._recipe, asked)))
        return size + AROUND_BYTES + _LONGEST_ESCAPE * size_of(pdf.name)


def pages_text(name: str, part: Part) -> str:
    """What stands in a prompt where the text of these pages would."""
    first, last = part.start + 1, part.end
    which = f"Page {last}" if first == last else f"Pages {first} to {last}"
    verb = "is" if first == last else "are"
    return f'{which} of the document "{name}" (PDF, {part.pages:,} pages) {verb} attached.'


def _as_too_long(error: Unconvertible) -> TooLong:
    return TooLong(error.message, error.type, retryable=error.retryable)
