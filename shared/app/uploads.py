"""Uploads: what a notification about one key of the input bucket leads to.

The event only says where to look: what is there now decides, so events may come twice, late, out
of order, or for something that is gone.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from shared.app.control import requeue_unpaid
from shared.app.deps import Deps, NoRecipe
from shared.app.digests import recipe_came
from shared.app.folders import Folder, folder_sightings, look, with_folders
from shared.app.gone import forget_misfits, forget_source
from shared.app.groups import mark_stale, open_group
from shared.app.intake import Taken, take_in
from shared.app.sightings import (
    READY_NAME,
    RECIPE_NAME,
    Tell,
    group_of,
    is_document,
    sightings_of,
    unplaced,
)
from shared.app.variants import paths_of
from shared.domain.archive import archive_kind
from shared.domain.digest import DIGEST_RECIPE
from shared.domain.document import RowPlace, Sighting
from shared.domain.ids import JobName
from shared.domain.manifest import manifest_kind
from shared.domain.names import InvalidName, check_job
from shared.domain.recipe import Recipe
from shared.domain.recipe_input import InputShape
from shared.ports.blobs import Blob, BlobNotFound, Blobs

UNPLACED = JobName("_unplaced")
"""The job that objects outside any job fail in, so that somebody hears of them."""

_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A key to look at. Where an earlier look ran out of time: `source` is the key, and `row` the
    row of it, to go on with."""

    key: str
    source: str | None = None
    row: RowPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTaken:
    """What was taken in, and what is left to be looked at by somebody else."""

    taken: Taken = field(default_factory=Taken)
    left: Upload | None = None


def take_together(
    deps: Deps, keys: Collection[str], *, until: datetime | None = None
) -> tuple[Taken, set[str]]:
    """Take in those of the keys that are plain documents, each job's at once: what is written per
    job and group is written once for all of them, not once for each.

    The answer names the keys that are done. The others are for `take_upload`: markers, recipes,
    manifests, what is gone or can't be read, what was replaced meanwhile, what time is over for.
    """
    jobs: dict[JobName, dict[str, Blob]] = {}
    if until is None or deps.clock() < until:
        of = {key: job for key in keys if (job := _job_of_document(key)) is not None}
        for key, blob in _seen(deps.documents, list(of)).items():
            jobs.setdefault(of[key], {})[key] = blob
    total = Taken()
    done: set[str] = set()
    for job, found in jobs.items():
        recipe = _recipe(deps, job)
        whole = {key: folder for key in found if (folder := _folder_of(recipe, job, key))}
        for folder in sorted(set(whole.values())):
            taken, settled = _take_folder(deps, job, folder, recipe, looks=1)
            total += taken
            done |= {key for key in whole if whole[key] == folder and settled}
        alone = {key: blob for key, blob in found.items() if key not in whole}
        total += take_in(
            deps,
            job,
            (
                sighting
                for key, blob in alone.items()
                for sighting in sightings_of(
                    deps.documents, blob, key.removeprefix(f"{job}/"), recipe=recipe
                )
            ),
        )
        now = _seen(deps.documents, list(alone))
        done |= {key for key in now if now[key].etag == found[key].etag}
    return total, done


def _job_of_document(key: str) -> JobName | None:
    """The job, where the key says that one document lies there."""
    name, _, path = key.partition("/")
    if not name or not is_document(path):
        return None
    if manifest_kind(path.rsplit("/", 1)[-1], named_directly=False) is not None:
        return None
    if archive_kind(path) is not None:
        return None
    try:
        check_job(name)
    except InvalidName:
        return None
    return JobName(name)


def _seen(blobs: Blobs, keys: Sequence[str]) -> dict[str, Blob]:
    """What lies there, without what takes a closer look."""
    found = zip(keys, blobs.stat_many(keys), strict=True)
    return {key: blob for key, blob in found if isinstance(blob, Blob)}


def take_upload(deps: Deps, upload: Upload, *, until: datetime | None = None) -> UploadTaken:
    """Take in what lies at a key. Raises BlobError when the bucket can't be read now.

    Stops once the clock passes `until`, with what is left.
    """
    key = upload.key
    job_name, slash, path = key.partition("/")
    job = JobName(job_name)
    if not slash or not job_name:
        why = "it lies in no job; put it below a folder that is named for its job"
        return _take_unplaced(deps, key, "no_job", why)
    try:
        check_job(job)
    except InvalidName as error:
        return _take_unplaced(deps, key, "invalid_name", error.message)
    if path.rsplit("/", 1)[-1] == READY_NAME:
        _close_groups(deps, job, path)
        return UploadTaken()
    if path == RECIPE_NAME:
        return _take_job(deps, job, upload, until)
    if path == DIGEST_RECIPE:
        recipe_came(deps, job)
        return UploadTaken()
    if not is_document(path):
        return UploadTaken()
    recipe = _recipe(deps, job)
    if (folder := _folder_of(recipe, job, key)) is not None:
        return UploadTaken(taken=_take_folder(deps, job, folder, recipe)[0])
    return _take_blob(deps, job, path, upload, until)


def _take_blob(
    deps: Deps, job: JobName, path: str, upload: Upload, until: datetime | None
) -> UploadTaken:
    total = Taken()
    etag, start = None, upload.row
    for _ in range(1 + _LOOKS):
        try:
            blob = deps.documents.stat(upload.key)
        except BlobNotFound:
            recipe = _recipe(deps, job)
            names = (*paths_of(path, recipe), *paths_of(f"/{upload.key}", recipe))
            forget_source(deps, job, upload.key, names)
            break
        if blob.etag == etag:
            break
        # For the first time, or replaced while it was read: the newer must have the last word.
        etag = blob.etag
        seen = sightings_of(
            deps.documents,
            blob,
            path,
            recipe=_recipe(deps, job),
            start=start,
            tell=_telling(deps),
        )
        total += take_in(deps, job, seen, until=until)
        if total.left is not None:
            return UploadTaken(taken=total, left=_rest(upload.key, total.left))
    return UploadTaken(taken=total)


def _folder_of(recipe: Recipe | None, job: JobName, key: str) -> str | None:
    """The path of the folder that is one document and holds what lies at the key."""
    return None if recipe is None else recipe.shape.folder_of(key.removeprefix(f"{job}/"))


def _take_folder(
    deps: Deps, job: JobName, path: str, recipe: Recipe | None, *, looks: int = _LOOKS
) -> tuple[Taken, bool]:
    """Take in a folder that is one document, as it is now; whether it stayed so meanwhile."""
    total = Taken()
    etag: str | None = None
    for _ in range(1 + looks):
        folder = look(deps.documents, f"{job}/{path}/", path)
        if folder is None:
            forget_source(deps, job, f"{job}/{path}/", paths_of(path, recipe))
            return total, True
        if folder.etag == etag or recipe is None:
            return total, True
        etag = folder.etag
        total += take_in(deps, job, folder_sightings(folder, recipe))
    return total, False


def _take_job(deps: Deps, job: JobName, upload: Upload, until: datetime | None) -> UploadTaken:
    """Take in all that lies below a job: its recipe came, and may group otherwise."""
    if upload.source is None:
        requeue_unpaid(deps, job)
        forget_misfits(deps, job)
    prefix = f"{job}/"
    recipe = _recipe(deps, job)

    def everything() -> Iterator[Sighting]:
        if upload.source is not None and not upload.source.endswith("/"):
            path = upload.source.removeprefix(prefix)
            with suppress(BlobNotFound):
                begun = deps.documents.stat(upload.source)
                start = upload.row
                yield from sightings_of(
                    deps.documents, begun, path, recipe=recipe, start=start, tell=_telling(deps)
                )
        listed = deps.documents.list(prefix, after=upload.source or "")
        below = ((found, found.key.removeprefix(prefix)) for found in listed)
        documents = (each for each in below if is_document(each[1].rstrip("/")))
        shape = recipe.shape if recipe else InputShape()
        for found, path in with_folders(documents, shape):
            with suppress(BlobNotFound):
                if isinstance(found, Folder):
                    yield from folder_sightings(found, recipe)
                else:
                    yield from sightings_of(
                        deps.documents, found, path, recipe=recipe, tell=_telling(deps)
                    )

    taken = take_in(deps, job, everything(), until=until)
    if recipe is not None and recipe.form.fields:
        mark_stale(deps.store, job)  # its fields are the columns of the tables
    return UploadTaken(
        taken=taken, left=None if taken.left is None else _rest(upload.key, taken.left)
    )


def _telling(deps: Deps) -> Tell:
    return lambda said: deps.emit("files_left_out", message=said)


def _rest(key: str, left: Sighting) -> Upload:
    return Upload(key=key, source=left.content.source, row=left.content.row)


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
    if recipe is not None and (whole := recipe.shape.folder_of(path)) is not None:
        names = {group_of(whole, recipe.group_by)}
    if not folder or (recipe is not None and recipe.group_by != "folder"):
        names |= {group.name for group in deps.store.groups(job)}
    for name in sorted(names):
        open_group(deps.store, job, name, now=deps.clock(), ready=True)


def _take_unplaced(deps: Deps, key: str, type_: str, why: str) -> UploadTaken:
    try:
        blob = deps.documents.stat(key)
    except BlobNotFound:
        return UploadTaken()
    return UploadTaken(taken=take_in(deps, UNPLACED, [unplaced(blob, type_, why)]))
