"""`shared.ports.converter.Converter` in a child process, which a document may end.

One child converts many documents, and is replaced when one outlives its time or its memory. Nothing
of a converter is imported here: a job of plain text pays for none.
"""

import msgspec

from shared.adapters.child_process import ChildProcess, TooSlow
from shared.adapters.converters.tasks import Answer, Bounds, Task, decode_answer, encode
from shared.domain.attachment import Attachment
from shared.domain.catalog import Sight
from shared.domain.kinds import Kind
from shared.domain.page_ranges import Paged, Room
from shared.ports.converter import Converted, Unconvertible

MEMORY_BYTES = 1 << 30
"""Address space of the child: an image of 120 million pixels, or 60 MB of XML as a tree."""

PATIENCE_S = 30.0
"""How long one document may take. An upload beside it stands still as long, which a provider bears
for about a minute."""

MOST_LOSSES = 20
_LONGEST_LOSS = 200
_MOST_ANSWERS = 500
"""Of one child: what libraries keep for themselves goes with it."""


class ConverterProcess:
    """Converts in a child that is started when it is first needed. Not for several threads."""

    def __init__(
        self, sight: Sight, *, memory_bytes: int = MEMORY_BYTES, patience_s: float = PATIENCE_S
    ) -> None:
        self._patience = patience_s
        self._memory = memory_bytes
        bounds = Bounds(memory_bytes=memory_bytes, patience_s=patience_s, sight=sight)
        self._child = ChildProcess(
            "shared.adapters.converters.worker", msgspec.json.encode(bounds).decode()
        )
        self._answers = 0

    def convert(self, name: str, data: bytes, kind: Kind, *, most_pages: int) -> Converted:
        """Raises Unconvertible, of its own the types `converter_timeout` and
        `converter_out_of_memory`."""
        task = Task(name=name, kind=kind, data=data, most_pages=most_pages)
        found = self._ask(task).converted
        if found is None:
            raise AssertionError("an answer without a fault has what was converted")
        return msgspec.structs.replace(found, losses=_bounded(found.losses))

    def page_ranges(self, name: str, data: bytes, room: Room) -> Paged:
        """Raises Unconvertible like `convert`."""
        task = Task(name=name, kind=Kind.PDF, data=data, room=room)
        found = self._ask(task).paged
        if found is None:
            raise AssertionError("an answer without a fault has the ranges")
        return msgspec.structs.replace(found, losses=_bounded(found.losses))

    def cut_pdf(self, name: str, data: bytes, *, start: int, end: int) -> Attachment:
        """Raises Unconvertible like `convert`."""
        found = self._ask(Task(name=name, kind=Kind.PDF, data=data, cut=(start, end))).part
        if found is None:
            raise AssertionError("an answer without a fault has the pages")
        return found

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _ask(self, task: Task) -> Answer:
        try:
            data = self._child.ask(encode(task), patience_s=self._patience)
        except TooSlow:
            message = f"converting it takes more than {self._patience:g} seconds; split it"
            raise Unconvertible("converter_timeout", message, retryable=True) from None
        if data is None:
            raise self._too_much(retryable=True)  # or somebody else ended the child
        answer = decode_answer(data)
        self._answers += 1
        if answer.spent or self._answers >= _MOST_ANSWERS:
            self._child.close()
            self._answers = 0
        if answer.spent:
            raise self._too_much(retryable=False)
        if answer.fault is not None:
            raise Unconvertible(answer.fault.type, answer.fault.message)
        return answer

    def _too_much(self, *, retryable: bool) -> Unconvertible:
        return Unconvertible(
            "converter_out_of_memory",
            f"converting it takes more than {self._memory >> 20:,} MiB of memory, or breaks the "
            "converter; split it, or save it anew",
            retryable=retryable,
        )


def _bounded(losses: tuple[str, ...]) -> tuple[str, ...]:
    """No more than a document's record and a report's header should hold."""
    short = tuple(
        each if len(each) <= _LONGEST_LOSS else each[: _LONGEST_LOSS - 1] + "…" for each in losses
    )
    more = len(short) - MOST_LOSSES
    return short if more <= 0 else (*short[: MOST_LOSSES - 1], f"and {more + 1:,} more")
