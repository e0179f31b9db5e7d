"""What the provider accepted: the only witness of what is paid for.

Read from the bodies sent, without docmill's state: each document says inside it which it is.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.rows import Ending, Row
from shared.domain.ids import BatchId, place_of

_MARK = re.compile(r"@@(?P<key>[^#@]+)#(?P<version>\d+)@@")
_PIECE = re.compile(r"This is part (\d+ of \d+)")
_COUNT = re.compile(r"^\[Part \d+ of (\d+)\]$", re.MULTILINE)
_MERGE = "Where its text belongs stand the answers"
_READABLE = frozenset({Ending.END_TURN, Ending.MAX_TOKENS, Ending.OVERFLOW})
_UNPAID = frozenset({Ending.ERRORED, Ending.EXPIRED, Ending.CANCELED})


def marked(key: str, version: int) -> str:
    """A text by which a request shows what it was made from."""
    return f"@@{key}#{version}@@"


@dataclass(slots=True, kw_only=True)
class Accepted:
    """One request that the provider took. `piece` says which part of the document it asks about by
    which recipe, and is empty where it asks about the whole, or merges. `forgiven`: it may be paid
    for again, as a person asked for that (`asked_again`), or its document was another in between.
    `said` is the answer so far that it asks to go on with, `asks` all that it says but for its id.
    `is_staged`: it is about a part, or merges.
    """

    number: int
    custom_id: str
    key: str
    version: int
    ours: BatchId
    batch: SimulatedBatch
    row: Row
    piece: str = ""
    forgiven: bool = False
    asked_again: bool = False
    said: str = ""
    asks: bytes = b""
    is_staged: bool = False

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.key} version {self.version} in {self.batch.id} as {self.custom_id}"

    @property
    def is_readable(self) -> bool:
        """Whether its answer makes a report; of JSON that was cut nothing does."""
        if self.row.schema is None:
            return self.ending in _READABLE
        return self.ending is Ending.END_TURN and not self.row.invalid

    @property
    def may_go_on(self) -> bool:
        """Whether its answer may become one with its rest, though alone it can't be read."""
        return self.row.schema is not None and self.ending is Ending.MAX_TOKENS

    @property
    def ending(self) -> Ending:
        """How it ends, or will as things stand."""
        return self.batch.ending(self.row)

    @property
    def is_paid(self) -> bool:
        """Whether it costs something."""
        return self.ending not in _UNPAID

    def is_live(self, now: datetime) -> bool:
        """Whether it may still be worked on."""
        return now < self.batch.ends_at


@dataclass(slots=True)
class Ledger:
    """Everything accepted, in order."""

    simulator: Simulator
    requests: list[Accepted] = field(default_factory=list)
    by_key: dict[str, list[Accepted]] = field(default_factory=dict)
    by_custom_id: dict[str, Accepted] = field(default_factory=dict)
    batches: dict[str, list[Accepted]] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    """Of documents whose content lies under several names: what the content calls itself."""

    def take(self, body: bytes) -> list[Accepted]:
        """Note the batch that the simulator made of a body just now."""
        batch = next(reversed(self.simulator.batches.values()))
        rows = {row.custom_id: row for row in batch.rows}
        taken: list[Accepted] = []
        for request in msgspec.json.decode(body)["requests"]:
            custom_id = request["custom_id"]
            messages = request["params"]["messages"]
            prompt = messages[0]["content"]
            found = _MARK.search(prompt)
            piece = _PIECE.search(prompt)
            place = place_of(custom_id)
            if found is None or place is None:
                raise AssertionError(f"a request of nobody's: {request}")
            if piece is not None or _MERGE in prompt:
                _check(prompt, piece is None)
            if piece is not None:  # the answer says of which document it is, as one would
                row = rows[custom_id]
                row.headings = (*row.headings, f"## {found[0]}")
            accepted = Accepted(
                number=len(self.requests),
                custom_id=custom_id,
                key=found["key"],
                version=int(found["version"]),
                ours=place[1],
                batch=batch,
                row=rows[custom_id],
                piece="" if piece is None else f"{piece[1]} {prompt.partition('<data-')[0]}",
                said=messages[1]["content"] if len(messages) > 1 else "",
                asks=msgspec.json.encode(request["params"]),
                is_staged=piece is not None or _MERGE in prompt,
            )
            self.requests.append(accepted)
            self.by_key.setdefault(accepted.key, []).append(accepted)
            self.by_custom_id[custom_id] = accepted
            taken.append(accepted)
        self.batches[batch.id] = taken
        return taken

    def forgive(self, key: str, version: int | None = None) -> None:
        """What was paid for a document (of one version) may be paid once more."""
        for accepted in self.by_key.get(self.shared.get(key, key), ()):
            if version is None or accepted.version == version:
                accepted.forgiven = True
                accepted.asked_again |= version is None

    def forgive_all_but(self, key: str, kept: set[str]) -> None:
        """The same, but for the requests whose answers are kept: they must not be asked again."""
        for accepted in self.by_key.get(self.shared.get(key, key), ()):
            if accepted.custom_id not in kept:
                accepted.forgiven = accepted.asked_again = True


def _check(prompt: str, merges: bool) -> None:
    """A part is of one version of one document, and so are all the answers that are merged."""
    marks = set(_MARK.findall(prompt))
    if len(marks) != 1:
        raise AssertionError(f"a request about parts of {marks}")
    if merges:
        count = int(_COUNT.findall(prompt)[0])
        if len(_MARK.findall(prompt)) != count or len(_COUNT.findall(prompt)) != count:
            raise AssertionError(f"a merge of {len(_MARK.findall(prompt))} answers, not {count}")
