"""Uploads: what a notification about one key of the input bucket leads to.

The event only says where to look: what is there now decides, so events may come twice, late, out
of order, or for something that is gone.
"""

from collections.abc import Iterator
from contextlib import suppress

from shared.app.deps import Deps, NoRecipe
from shared.app.groups import open_group
from shared.app.intake import Taken, take_in
from shared.app.sightings import READY_NAME, RECIPE_NAME, is_marker, sight, unusable
from shared.domain.document import Sighting
from shared.domain.ids import JobName
from shared.domain.manifest import InvalidManifest
from shared.domain.names import InvalidName, check_job
from shared.domain.recipe import Recipe
from shared.ports.blobs import Blob, BlobError, BlobNotFound, BlobUnreadable

UNPLACED = JobName("_unplaced")
"""The job that objects outside any job fail in, so that somebody hears of them."""

_LOOKS = 3


def take_upload(deps: Deps, key: str) -> Taken:
    """Take in what lies at a key. Raises BlobError when the bucket can't be read now."""
    job_name, slash, path = key.partition("/")
    job = JobName(job_name)
    if not slash or not job_name:
        why = "it lies in no job; put it below a folder that is named for its job"
        return _take_unplaced(deps, key, "no_job", why)
    try:
        check_job(job)
    except InvalidName as error:
        return _take_unplaced(deps, key, "invalid_name", error.message)
    name = path.rsplit("/", 1)[-1]
    if name == READY_NAME:
        _close_groups(deps, job, path)
        return Taken()
    if path == RECIPE_NAME:
        return take_job(deps, job)
    if not name or is_marker(path):
        return Taken()
    try:
        blob = deps.documents.stat(key)
    except BlobNotFound:
        return Taken()
    taken = take_in(deps, job, _sightings(deps, job, blob, path))
    for _ in range(_LOOKS):
        try:
            current = deps.documents.stat(key)
        except BlobNotFound:
            break
        if current.etag == blob.etag:
            break
        blob = current  # replaced while it was read: the newer one must have the last word
        taken += take_in(deps, job, _sightings(deps, job, blob, path))
    return taken


def take_job(deps: Deps, job: JobName) -> Taken:
    """Take in all that lies below a job: its recipe came, and may group otherwise."""
    prefix = f"{job}/"

    def everything() -> Iterator[Sighting]:
        for blob in deps.documents.list(prefix):
            if isinstance(blob, BlobError):
                continue
            path = blob.key.removeprefix(prefix)
            if path and not path.endswith("/") and not is_marker(path):
                with suppress(BlobNotFound):
                    yield from _sightings(deps, job, blob, path)

    return take_in(deps, job, everything())


def _sightings(deps: Deps, job: JobName, blob: Blob, path: str) -> Iterator[Sighting]:
    try:
        yield from sight(deps.documents, blob, path, recipe=_recipe(deps, job))
    except InvalidManifest as error:
        yield unusable(path, "invalid_manifest", str(error), blob=blob)
    except BlobUnreadable as error:
        yield unusable(path, "unreadable", error.message, blob=blob)


def _recipe(deps: Deps, job: JobName) -> Recipe | None:
    try:
        return deps.recipe(job)
    except NoRecipe:
        return None


def _close_groups(deps: Deps, job: JobName, path: str) -> None:
    """`_READY` closes the group of its folder; every open group at the top of a job, and where
    groups aren't folders."""
    folder = path.rpartition("/")[0]
    names = {folder}
    recipe = _recipe(deps, job)
    if not folder or (recipe is not None and recipe.group_by != "folder"):
        names |= {group.name for group in deps.store.groups(job)}
    for name in sorted(names):
        open_group(deps.store, job, name, now=deps.clock(), ready=True)


def _take_unplaced(deps: Deps, key: str, type_: str, why: str) -> Taken:
    try:
        blob = deps.documents.stat(key)
    except BlobNotFound:
        return Taken()
    return take_in(deps, UNPLACED, [unusable(key, type_, why, blob=blob)])
