"""The same recipe for every job of documents, and none for digests of them."""

from collections.abc import Callable

from shared.app.deps import NoRecipe
from shared.app.digest_notes import RECIPE_MISSING
from shared.domain.digest import digested_job
from shared.domain.document import Failure
from shared.domain.ids import JobName
from shared.domain.recipe import Recipe


def one_recipe(current: Callable[[], Recipe]) -> Callable[[JobName], Recipe]:
    """What `Deps.recipe` may be."""

    def recipe_of(job: JobName) -> Recipe:
        if digested_job(job) is not None:
            raise NoRecipe(Failure(type=RECIPE_MISSING, message="no digests", retryable=True))
        return current()

    return recipe_of
