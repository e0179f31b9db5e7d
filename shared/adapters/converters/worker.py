"""The child of `shared.adapters.converters.process`: converts what it is told, within its memory.

It writes no files, and a document that outlives its time ends it, even if its parent is gone.
"""

import math
import resource
import signal
import sys

import msgspec

from shared.adapters.child_process import read_frame, write_frame
from shared.adapters.converters.convert import convert
from shared.adapters.converters.packages import broken
from shared.adapters.converters.tasks import Answer, Bounds, Fault, Task, decode_task, encode
from shared.domain.attachment import Attachment
from shared.domain.catalog import Sight
from shared.ports.converter import Converted, Unconvertible

OUT_OF_MEMORY = "converter_out_of_memory"
_GRACE_S = 5
_DEEP = "its parts are nested too deep to be read"


def main() -> None:
    """Answer until the parent closes its end."""
    bounds = msgspec.json.decode(sys.argv[1], type=Bounds)
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):
        # A whole group is told to end, and the parent takes its time over it: a child that died
        # meanwhile would be blamed on a document. It ends with its parent.
        signal.signal(asked_to_end, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory_bytes, bounds.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while (message := read_frame(sys.stdin.buffer)) is not None:
        signal.alarm(math.ceil(bounds.patience_s) + _GRACE_S)
        answer = _answer(message, bounds.sight)
        del message
        signal.alarm(0)
        write_frame(sys.stdout.buffer, answer)
        del answer


def _answer(message: bytes, sight: Sight) -> bytes:
    try:
        return encode(_done(decode_task(message), sight))
    except Unconvertible as error:
        return encode(Answer(fault=Fault(type=error.type, message=_clean(error.message))))
    except MemoryError:
        return encode(Answer(fault=Fault(type=OUT_OF_MEMORY, message=""), spent=True))
    except RecursionError:
        return encode(Answer(fault=Fault(type="broken_document", message=_DEEP)))
    except Exception as error:  # noqa: BLE001 - a hostile file's
        fault = broken(f"it can't be read ({type(error).__name__})")
        return encode(Answer(fault=Fault(type=fault.type, message=fault.message)))


def _done(task: Task, sight: Sight) -> Answer:
    if task.room is not None or task.cut is not None:
        return _by_pages(task, sight)
    found = convert(task.name, task.data, task.kind, sight, most_pages=task.most_pages)
    return Answer(
        converted=Converted(
            text=_clean(found.text),
            attachments=tuple(_titled(each) for each in found.attachments),
            losses=tuple(_clean(loss) for loss in found.losses),
        )
    )


def _by_pages(task: Task, sight: Sight) -> Answer:
    from shared.adapters.converters import pdf_pages  # noqa: PLC0415 - imported where needed

    if task.room is not None:
        return Answer(paged=pdf_pages.ranges(task.data, sight, task.room))
    start, end = task.cut or (0, 0)
    return Answer(part=_titled(pdf_pages.cut(task.name, task.data, sight, start=start, end=end)))


def _titled(attachment: Attachment) -> Attachment:
    return msgspec.structs.replace(attachment, title=_clean(attachment.title))


def _clean(text: str) -> str:
    """Half a character, as JSON may hold it, can't be sent."""
    return text.encode("utf-8", "replace").decode()


if __name__ == "__main__":
    main()
