"""A whole home in memory: real adapters, the simulator's core, and a clock that the test turns."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.adapters.builtin import catalog
from shared.adapters.folder_blobs import FolderBlobs
from shared.adapters.simulator.core import Simulator, SimulatorSettings
from shared.adapters.simulator.faults import Call, Fault
from shared.adapters.simulator.messages import Cut
from shared.adapters.simulator_api import SimulatorApi
from shared.adapters.sqlite_store import SqliteStore
from shared.app.collect import Collected, collect
from shared.app.deps import Deps
from shared.app.drive import drive
from shared.app.intake import Taken, take_in
from shared.app.sightings import sightings_of
from shared.app.uploads import Upload, take_upload
from shared.domain.batch import Batch, BatchStatus
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import BatchId, JobName, batch_id
from shared.domain.policy import Policy
from shared.domain.recipe import Recipe, parse_recipe
from shared.wiring.conversion import converter
from tests.one_recipe import one_recipe

JOB = JobName("legal")
START = datetime(2026, 11, 24, 10, tzinfo=UTC)
RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
max_wait: 10m
---
Review this.

## Risks

{{ document.text }}
"""


@dataclass
class Home:
    """Documents in `input`, reports in `output`; `sleep` lets the clock pass."""

    root: Path
    simulator: Simulator = field(
        default_factory=lambda: Simulator(seed=1, settings=SimulatorSettings(duration_s=60))
    )
    store: SqliteStore = field(default_factory=lambda: SqliteStore(":memory:"))
    now: datetime = START
    policy: Policy = field(default_factory=Policy)
    recipe: Recipe = field(
        default_factory=lambda: parse_recipe(RECIPE, name="recipe.md", catalog=catalog())
    )
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "input").mkdir()
        (self.root / "output").mkdir()
        self._random = random.Random(1)
        self.deps = Deps(
            documents=FolderBlobs(self.root / "input"),
            reports=FolderBlobs(self.root / "output"),
            store=self.store,
            api=SimulatorApi(self.simulator, lambda: self.now),
            recipe=one_recipe(lambda: self.recipe),
            catalog=catalog(),
            clock=lambda: self.now,
            new_batch_id=self._new_batch_id,
            spool_dir=self.root,
            converter=converter(),
            policy=self.policy,
            emit=lambda event, /, **facts: self.events.append((event, facts)),
        )

    def _new_batch_id(self) -> BatchId:
        return batch_id(self._random.getrandbits(60))

    def write(self, path: str, text: str | bytes) -> None:
        """Put a document into the input."""
        target = self.root / "input" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)

    def see(self, *, ready: bool = True) -> Taken:
        """Take in everything that is in the input."""
        blobs = self.deps.documents
        return take_in(
            self.deps,
            JOB,
            (
                sighting
                for found in blobs.list()
                for sighting in sightings_of(blobs, found, found.key, recipe=self.recipe)
            ),
            ready=ready,
        )

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    async def sleep(self, seconds: float) -> None:
        """What the laptop's loop sleeps with."""
        self.later(seconds=seconds)

    async def finish(self) -> None:
        """Run the laptop's loop until all is done."""
        await drive(self.deps, sleep=self.sleep)

    async def finish_group(self, marker: str) -> None:
        """Drop a marker and run to the end."""
        self.write(marker, "")
        take_upload(self.deps, Upload(key=marker))
        await self.finish()

    async def collect_all(self) -> list[Collected]:
        """Collect every ended batch."""
        return [await collect(self.deps, b.id) for b in self.batches(BatchStatus.ENDED)]

    def fault(self, call: Call, **how: object) -> None:
        """Let the next call of a kind go wrong."""
        self.simulator.faults.script.append(Fault(call=call, **how))  # type: ignore[arg-type]

    def lose_answer(self) -> None:
        """Let the next create take effect and its answer be lost."""
        self.fault(Call.CREATE, cut=Cut.AFTER)

    def restart(self) -> None:
        """What a new process sees: the same state, nothing else."""
        self.deps = replace(self.deps)

    def documents(self) -> dict[str, Document]:
        """Every document by path."""
        return {document.path: document for document in self.store.all_documents(JOB)}

    def statuses(self) -> dict[str, DocumentStatus]:
        """Every document's status by path."""
        return {path: document.status for path, document in self.documents().items()}

    def batches(self, status: BatchStatus | None = None) -> list[Batch]:
        """The batches, of one status or all."""
        return [b for b in self.store.batches(JOB) if status is None or b.status is status]

    def report(self, path: str) -> str | None:
        """The report of a document, if it is there."""
        target = self.root / "output" / f"{path}.md"
        return target.read_text() if target.is_file() else None

    def requested(self) -> int:
        """How many requests the provider was ever given: what is paid for."""
        return sum(len(batch.rows) for batch in self.simulator.batches.values())
