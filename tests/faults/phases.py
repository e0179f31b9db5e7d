"""Which phase a run was in when it was killed, by what it left: its state, its files, its events
and what the provider had been asked."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from shared.adapters.folder_blobs import TEMPORARY_PREFIX
from shared.adapters.sqlite_store import SqliteStore
from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.document import Document, DocumentStatus
from shared.wiring.laptop import JOB, state_folder
from tests.faults.provider import Served
from tests.faults.served import ANSWERED, CAME, DONE

if TYPE_CHECKING:
    from tests.faults.watched import Watched


class Phase(StrEnum):
    """In the order in which a run comes through them."""

    STARTING = "starting: imports, lock, state opened"
    READING = "reading the input"
    SETTLING = "in doubt about what a run before left"
    PLANNING = "planning and spooling, nothing saved yet"
    PLANNED = "planned: the SDK imported, documents claimed"
    INTENDED = "create: intent saved, nothing taken"
    TAKEN = "create: taken, not answered"
    ANSWERED = "create: answered, not saved"
    POLLING = "polling"
    STREAMING = "results: streaming"
    WRITING = "results: reports being written"
    CLOSING = "results: settled, batch not closed"
    PUBLISHING = "publishing and leaving"


@dataclass(slots=True, kw_only=True)
class State:
    """The state as it lies on the disk."""

    batches: list[Batch] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)

    def having(self, status: BatchStatus) -> list[Batch]:
        """The batches of one status."""
        return [batch for batch in self.batches if batch.status is status]

    def count(self, status: DocumentStatus) -> int:
        """How many documents have one status."""
        return sum(document.status is status for document in self.documents.values())


def read_state(out: Path) -> State:
    """Read a copy, and leave what was killed as it is: who opens a state tidies it up."""
    with TemporaryDirectory() as copy:
        for name in ("state.db", "state.db-wal"):
            if (state_folder(out) / name).exists():
                shutil.copy(state_folder(out) / name, copy)
        if not (Path(copy) / "state.db").exists():
            return State()
        store = SqliteStore(Path(copy) / "state.db")
        try:
            documents = {document.path: document for document in store.all_documents(JOB)}
            return State(batches=list(store.batches(JOB)), documents=documents)
        finally:
            store.close()


def is_running(out: Path, begun: float) -> bool:
    """Whether a run that began at this time has the lock and its state."""
    try:
        return (state_folder(out) / "running").stat().st_mtime >= begun
    except FileNotFoundError:
        return False


def phase_of(out: Path, run: "Watched") -> Phase:
    """Where a run was that has been killed.

    Work goes on side by side: what is furthest from the beginning counts, but for a create, which
    counts before all.
    """
    if not run.saw("taken_in"):
        return Phase.READING if is_running(out, run.begun) else Phase.STARTING
    state = read_state(out)
    submitting = state.having(BatchStatus.SUBMITTING)
    mine = {event["batch"] for event in run.events if event["event"] == "batch_submitting"}
    under_way = [batch for batch in submitting if batch.id in mine]
    calls = run.calls.look()
    if any(out.glob(f"{TEMPORARY_PREFIX}*-*")):
        return Phase.PUBLISHING
    if under_way:
        return _create(under_way, calls, run.provider)
    ended = state.having(BatchStatus.ENDED)
    if ended and calls["results", CAME] > run.told("batch_collected"):
        return _results(out, state, ended)
    in_doubt = submitting or state.having(BatchStatus.IN_DOUBT)
    if in_doubt and not run.saw("batch_checked", "batch_ended", "batch_submitting"):
        return Phase.SETTLING
    if state.having(BatchStatus.PLANNED):
        return Phase.PLANNED
    if state.count(DocumentStatus.WAITING):
        return Phase.PLANNING
    if any(batch.status in LIVE for batch in state.batches):
        return Phase.SETTLING if state.having(BatchStatus.IN_DOUBT) else Phase.POLLING
    return Phase.PUBLISHING


def _create(under_way: Sequence[Batch], calls: Counter[tuple[str, str]], provider: Served) -> Phase:
    ours = {batch.id for batch in under_way}
    if not any(taken.custom_id.rsplit("-", 1)[-1] in ours for taken in provider.ledger()):
        return Phase.INTENDED
    answered = calls["create", ANSWERED] == calls["create", DONE]
    return Phase.ANSWERED if answered else Phase.TAKEN


def _results(out: Path, state: State, ended: Sequence[Batch]) -> Phase:
    ours = {batch.id for batch in ended}
    held = [d.path for d in state.documents.values() if d.batch in ours]
    if not held:
        return Phase.CLOSING
    if any(out.rglob(f"{TEMPORARY_PREFIX}*-*")) or any(_is_written(out, p, ended) for p in held):
        return Phase.WRITING
    return Phase.STREAMING


def _is_written(out: Path, path: str, ended: Sequence[Batch]) -> bool:
    try:
        with (out / f"{path}.md").open("rb") as report:
            header = report.read(2000)
    except FileNotFoundError:
        return False
    return any(batch.id.encode() in header for batch in ended)
