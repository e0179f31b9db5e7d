"""What the use cases are given: the ports, the policy, and everything that isn't a value."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from shared.domain.catalog import Catalog
from shared.domain.digest import digested_job
from shared.domain.document import Document, Failure
from shared.domain.ids import BatchId, JobName
from shared.domain.policy import Policy
from shared.domain.recipe import Recipe
from shared.ports.batch_api import BatchApi
from shared.ports.blobs import Blobs
from shared.ports.converter import Converter
from shared.ports.store import Store


class Emit(Protocol):
    """Tells what happened: a past-tense verb and its facts; never prompts, outputs or keys."""

    def __call__(self, event: str, /, **facts: object) -> None: ...


def say_nothing(event: str, /, **facts: object) -> None:
    """For callers that don't listen."""


class Follow(Protocol):
    """Tells which documents came to a step of their way: a past-tense verb, and its facts.

    Each is named by its correlation id, which is made by whoever listens: making it costs time.
    """

    def __call__(self, step: str, documents: Iterable[Document], /, **facts: object) -> None: ...


def follow_nobody(step: str, documents: Iterable[Document], /, **facts: object) -> None:
    """For homes that keep no log."""


class NoRecipe(Exception):
    """The job can't be worked on; `problem` says what to do about it."""

    def __init__(self, problem: Failure) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """One home. `recipe` raises NoRecipe; `spool_dir` has room for one batch's body."""

    documents: Blobs
    reports: Blobs
    store: Store
    api: BatchApi
    recipe: Callable[[JobName], Recipe]
    catalog: Catalog
    clock: Callable[[], datetime]
    new_batch_id: Callable[[], BatchId]
    spool_dir: Path
    policy: Policy
    converter: Converter
    emit: Emit = say_nothing
    follow: Follow = follow_nobody

    def output_key(self, job: JobName, name: str) -> str:
        """Where a file of the job's output goes."""
        return f"{job}/{name}" if self.policy.reports_by_job else name

    def report_place(self, job: JobName, name: str) -> str:
        """Where a report goes: a digest's lies among those that it is made of."""
        return self.output_key(digested_job(job) or job, name)
