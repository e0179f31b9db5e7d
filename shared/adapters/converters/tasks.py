"""What the parent and the child that converts say to each other."""

import msgspec

from shared.domain.attachment import Attachment
from shared.domain.catalog import Sight
from shared.domain.kinds import Kind
from shared.domain.page_ranges import Paged, Room
from shared.ports.converter import Converted


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A file to convert; with `room` a PDF whose ranges are asked for, with `cut` one of them."""

    name: str
    kind: Kind
    data: bytes
    most_pages: int = 0
    room: Room | None = None
    cut: tuple[int, int] | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why it can't be."""

    type: str
    message: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them. With `spent` the child is to be replaced."""

    converted: Converted | None = None
    paged: Paged | None = None
    part: Attachment | None = None
    fault: Fault | None = None
    spent: bool = False


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the child begins with."""

    memory_bytes: int
    patience_s: float
    sight: Sight


encode = msgspec.msgpack.Encoder().encode
decode_task = msgspec.msgpack.Decoder(Task).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
