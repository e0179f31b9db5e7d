"""A job's recipe as an invocation on AWS finds it; what a text means is worked out once."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.app.deps import NoRecipe
from shared.app.sightings import RECIPE_NAME
from shared.domain.ids import JobName
from shared.domain.recipe import Recipe
from shared.ports.blobs import BlobNotFound, Blobs
from shared.wiring.aws import JobRecipes
from tests.world.blobs import MemoryBlobs

_ANSWERS: dict[tuple[JobName, bytes | None], Recipe | NoRecipe] = {}


@dataclass(slots=True)
class Recipes:
    """`shared.wiring.aws.JobRecipes`, but for the time that it takes to read YAML."""

    documents: Blobs
    _found: dict[JobName, Recipe] = field(default_factory=dict)

    def __call__(self, job: JobName) -> Recipe:
        if job in self._found:
            return self._found[job]
        try:
            text: bytes | None = self.documents.read(f"{job}/{RECIPE_NAME}")
        except BlobNotFound:
            text = None
        key = (job, text)
        if key not in _ANSWERS:
            _ANSWERS[key] = _answer(job, text)
        answer = _ANSWERS[key]
        if isinstance(answer, NoRecipe):
            raise NoRecipe(answer.problem)
        self._found[job] = answer
        return answer


def _answer(job: JobName, text: bytes | None) -> Recipe | NoRecipe:
    alone = MemoryBlobs(lambda: datetime.now(UTC))
    if text is not None:
        alone.write_many([(f"{job}/{RECIPE_NAME}", text)])
    try:
        return JobRecipes(alone)(job)
    except NoRecipe as missing:
        return missing
