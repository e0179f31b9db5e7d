"""Where files go that are written often: into memory where there is room, as a disk's mood is not
what is looked at."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone when the block ends."""
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM
    with TemporaryDirectory(prefix="docmill-", dir=_MEMORY if roomy else None) as folder:
        yield Path(folder)
