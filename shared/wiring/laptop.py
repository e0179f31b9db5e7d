"""The laptop home: folders for documents and reports, one SQLite file for state, one process."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from shared.adapters.builtin import catalog
from shared.adapters.converters.remembered import RememberingConverter
from shared.adapters.folder_blobs import FolderBlobs
from shared.adapters.own_output import STATE_FOLDER, is_own_file
from shared.adapters.sqlite_store import SqliteStore
from shared.adapters.work_tree import WorkTrees, is_work_tree
from shared.app.deps import Deps, Emit, say_nothing
from shared.app.publish import FAILURES, SUMMARY
from shared.app.tables import PARQUET
from shared.domain.confusion import CORNER
from shared.domain.ids import JobName
from shared.domain.names import CONFUSION, TABLES
from shared.domain.policy import Policy
from shared.domain.recipe import Recipe
from shared.domain.table_text import CSV_BEGINS
from shared.ports.batch_api import BatchApi
from shared.wiring import ambient
from shared.wiring.conversion import converter
from shared.wiring.settings import Settings

JOB = JobName("local")
"""One output holds one job, so its name is never told apart from another's."""

utc_now = ambient.utc_now

_BEGINNING = 4096
_OWN_FILES = {
    SUMMARY: (b'"job"', b'"documents"'),
    FAILURES: (b'"path"', b'"custom_id"'),
    CONFUSION: (CORNER.encode(),),
}
"""What docmill's own files at the top of an output have in their beginning, unless empty."""


class OutputUnusable(Exception):
    """The output folder can't be worked in; the message is one line with what to do."""


class OutputBusy(OutputUnusable):
    """Another process works on this output."""


def state_folder(out: Path) -> Path:
    """Where the state of an output lives."""
    return out / STATE_FOLDER


def state_file(out: Path) -> Path:
    """The SQLite file of an output."""
    return state_folder(out) / "state.db"


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Be the only process that works on this output. Raises OutputBusy or OutputUnusable.

    The lock is the system's and goes with the process, however that ends.
    """
    folder = state_folder(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputUnusable(f"{out} can't be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise OutputUnusable(f"{out} can't be locked: {error.strerror}") from error
            message = f"another docmill works on {out}; wait for it, or stop it first"
            raise OutputBusy(message) from error
        _empty(folder / "spool")
        yield
    finally:
        os.close(handle)


def _empty(spool: Path) -> None:
    """Nobody else is here any more, so whatever lies in the spool was left by the dead."""
    shutil.rmtree(spool, ignore_errors=True)
    try:
        spool.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputUnusable(f"{spool} can't be made: {error.strerror}") from error


def open_store(out: Path) -> SqliteStore:
    """The state of an output. Raises OutputUnusable, StoreUnusable or StoreUnavailable."""
    if not state_file(out).exists():
        _check_files(out)
    return SqliteStore(state_file(out))


def _check_files(out: Path) -> None:
    """Raise OutputUnusable when a file of somebody's has the name of one of docmill's own."""
    for name, marks in _OWN_FILES.items():
        with suppress(FileNotFoundError), (out / name).open("rb") as file:
            begins = file.read(_BEGINNING)
            if begins and not all(mark in begins for mark in marks):
                raise OutputUnusable(
                    f"{out / name} is there and not docmill's, and would be written over; "
                    "move it, or use another --out"
                )


def check_tables(out: Path) -> None:
    """Raise OutputUnusable when a file of somebody's has the name of one of the results tables."""
    marks = (CSV_BEGINS + b"document,", b"docmill", b'{"document":', CORNER.encode())
    for name, mark in zip((*TABLES, CONFUSION), marks, strict=True):
        with suppress(FileNotFoundError), (out / name).open("rb") as file:
            begins = file.read(_BEGINNING)
            if name == PARQUET:  # which says who wrote it at its end
                file.seek(max(0, file.seek(0, os.SEEK_END) - _BEGINNING))
                begins = file.read()
            if begins and mark not in begins:
                raise OutputUnusable(
                    f"{out / name} is there and not docmill's, and would be written over; "
                    "move it, or use another --out"
                )


def reading_store(out: Path) -> SqliteStore:
    """The same to read only, where that is all that may be done. Raises like `open_store`."""
    return SqliteStore(state_file(out), read_only=not os.access(state_folder(out), os.W_OK))


def _walked_past(folders: Sequence[Path], recipe: Recipe) -> Callable[[str], bool]:
    """Docmill's own files in an output, and what isn't taken of Git work trees, where the recipe
    reads them as such."""
    if recipe.shape.archives is None or not any(map(is_work_tree, folders)):
        return is_own_file
    trees = WorkTrees(folders)
    return lambda key: is_own_file(key) or trees(key)


def for_laptop(
    out: Path,
    *,
    inputs: Sequence[Path],
    store: SqliteStore,
    api: BatchApi,
    recipe: Recipe,
    settings: Settings,
    poll_interval: timedelta,
    max_attempts: int | None,
    emit: Emit = say_nothing,
    clock: Callable[[], datetime] = utc_now,
) -> Deps:
    """Put the laptop together. Links in `inputs` are followed only to what lies in one of them."""
    folders = [each for each in inputs if each.is_dir()]
    return Deps(
        documents=FolderBlobs(Path("/"), within=folders, past=_walked_past(folders, recipe)),
        reports=FolderBlobs(out.resolve()),
        store=store,
        api=api,
        recipe=lambda _: recipe,
        catalog=catalog(),
        clock=clock,
        new_batch_id=ambient.new_batch_id,
        spool_dir=state_folder(out) / "spool",
        policy=Policy(
            poll_interval=poll_interval,
            doubt_grace=settings.doubt_grace,
            looks_per_minute=settings.looks_per_minute,
            max_attempts=max_attempts,
            max_batch_requests=settings.max_batch_requests,
            max_batch_bytes=settings.max_batch_bytes,
            max_request_bytes=settings.max_request_bytes,
            check_reports=True,
        ),
        converter=RememberingConverter(converter(), state_folder(out) / "spool"),
        emit=emit,
    )
