"""What turns a file that isn't plain text into text, and into what is attached to a request.

Adapter: `shared.adapters.converters.process`, which works in a child process within bounds.
"""

from typing import Protocol

from shared.domain.attachment import Attachment
from shared.domain.kinds import Kind
from shared.domain.page_ranges import Paged, Room
from shared.domain.record import Record


class Unconvertible(Exception):
    """This file can't be converted: `type` is a stable word, `message` one line that says what is
    wrong and what to do. `retryable`: it may be otherwise another time."""

    def __init__(self, type: str, message: str, *, retryable: bool = False) -> None:  # noqa: A002 (the word of failures.jsonl)
        super().__init__(message)
        self.type = type
        self.message = message
        self.retryable = retryable

    def again(self) -> "Unconvertible":
        """The same as new: one that was raised holds on to where it was."""
        return Unconvertible(self.type, self.message, retryable=self.retryable)


class Converted(Record, frozen=True, kw_only=True):
    """A file as a request takes it: `text` for the prompt, never empty, `attachments` before it.

    `losses` are short texts, each what the model doesn't get to see of the file.
    """

    text: str
    attachments: tuple[Attachment, ...] = ()
    losses: tuple[str, ...] = ()


class Converter(Protocol):
    """Converts one file after the other; nothing of one is left when the next one comes."""

    def convert(self, name: str, data: bytes, kind: Kind, *, most_pages: int) -> Converted:
        """The file `name`, which is of that kind. Raises Unconvertible, with the type
        `too_many_pages` for a PDF of more than `most_pages`."""

    def page_ranges(self, name: str, data: bytes, room: Room) -> Paged:
        """How the PDF is cut, so that each range fits. Raises Unconvertible, with the type
        `too_many_pages` for one that takes too many ranges, and `request_too_large` where a page by
        itself doesn't fit."""

    def cut_pdf(self, name: str, data: bytes, *, start: int, end: int) -> Attachment:
        """The pages from `start` up to `end` of a PDF, counted from 0, titled by them. Raises
        Unconvertible."""
