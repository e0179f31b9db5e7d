"""A document that is too long for one request: its parts, and the levels in which they are merged.

A part is a record like a document's, under a path that no document can have. Users count
documents: a part never shows under a name of its own. Level 0 are pieces of the text; a part of a
higher level merges a run of answers of the one below it.
"""

from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Final

from shared.domain.catalog import Usage
from shared.domain.record import Record

PART_PREFIX: Final = "\x01"
"""No document's path has it: names with control characters are refused, and told escaped."""

MOST_PARTS: Final = 200
"""Of one document (ours): what is longer is more likely a mistake than worth its price."""

MOST_BYTES: Final = 64_000_000
"""Of a document that is split (ours): it is read whole, in memory, for a run of its parts."""


class Part(Record, frozen=True, kw_only=True):
    """Which piece of which document a record stands for.

    `of` is the document's path, `splitting` names the way its content was cut, `digest` is of the
    whole content and `whole_size` its bytes. `start` to `end` are characters of the text on level
    0, or pages where the document has `pages`, and numbers of the parts below on higher ones.
    """

    of: str
    splitting: str
    level: int
    number: int
    count: int
    start: int
    end: int
    digest: str
    whole_size: int
    pages: int = 0

    @property
    def place(self) -> str:
        """Which of how many it is, as people count, with its pages where it has some."""
        which = f"{self.number + 1} of {self.count}"
        if not self.pages or self.level:
            return which
        return f"{which} ({pages_named(self.start, self.end)})"


class Answer(Record, frozen=True, kw_only=True):
    """What a part's answer used; its text lies in the output. Of all the answers that a report was
    merged from, `cost` is what they cost, in US dollars; None where no price is known."""

    usage: Usage
    truncated: bool = False
    uncounted: bool = False
    cost: Decimal | None = None


class Parts(Record, frozen=True, kw_only=True):
    """How a document was split: which content by which recipe, into how many parts on each level.

    Without any, the provider said that the document is too long, and it is to be split.
    """

    digest: str
    fingerprint: str
    counts: tuple[int, ...] = ()

    @property
    def splitting(self) -> str:
        """The same for the same content and recipe, and for no other."""
        name = f"{self.digest}\0{self.fingerprint}".encode()
        return blake2b(name, digest_size=8).hexdigest()

    def paths(self, of: str, level: int) -> list[str]:
        """The paths of the parts of one level, in order."""
        return [
            part_path(of, self.splitting, level, number) for number in range(self.counts[level])
        ]

    def all_paths(self, of: str) -> list[str]:
        """The paths of all parts."""
        return [path for level in range(len(self.counts)) for path in self.paths(of, level)]


def pages_named(start: int, end: int) -> str:
    """A range of pages, as people count: `pages 201-300`."""
    return f"page {end}" if end == start + 1 else f"pages {start + 1}-{end}"


def part_path(of: str, splitting: str, level: int, number: int) -> str:
    """The path of a part's record; those of one level sort as the parts do."""
    return f"{PART_PREFIX}{of}{PART_PREFIX}{splitting}.{level}.{number:04d}"


def is_part(path: str) -> bool:
    """Whether a record's path is a part's."""
    return path.startswith(PART_PREFIX)


def whole_of(path: str) -> str:
    """The path of the document that a part belongs to."""
    return path[len(PART_PREFIX) :].rpartition(PART_PREFIX)[0]


def answer_name(path: str) -> str:
    """Where a part's answer lies below the output, whatever its document is called."""
    name = blake2b(path.encode(), digest_size=16).hexdigest()
    return f".docmill/parts/{name[:2]}/{name}.md"


def together(answers: Sequence[Answer], *, cost: Decimal | None) -> Answer:
    """What the answers used, all together."""
    return Answer(
        usage=sum((answer.usage for answer in answers), Usage()),
        truncated=any(answer.truncated for answer in answers),
        uncounted=any(answer.uncounted for answer in answers),
        cost=cost,
    )
