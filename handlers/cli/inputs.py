"""What lies in the inputs of a run, each document under the path its report will have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from handlers.cli.faults import Fault
from shared.adapters.own_output import own_files
from shared.adapters.work_tree import WorkTrees, is_work_tree
from shared.app.folders import Folder, folder_sightings, look, with_folders
from shared.app.sightings import (
    RECIPE_NAME,
    Tell,
    columns_of,
    is_document,
    sightings_of,
    to_nobody,
)
from shared.domain.digest import DIGEST_RECIPE
from shared.domain.document import Sighting
from shared.domain.manifest import manifest_kind
from shared.domain.names import escaped
from shared.domain.recipe import GROUPINGS, Recipe
from shared.ports.blobs import Blob, BlobError, Blobs, Unlisted


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Folders, files and manifests as given, resolved to absolute paths."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]

    @property
    def recipe(self) -> Path | None:
        """The recipe that lies beside the documents. Raises Fault where there are several."""
        return self._beside(RECIPE_NAME, "--recipe")

    @property
    def digest_recipe(self) -> Path | None:
        """The same of the recipe for digests."""
        return self._beside(DIGEST_RECIPE, "--digest")

    def _beside(self, name: str, option: str) -> Path | None:
        folders = dict.fromkeys((*self.folders, *(file.parent for file in self.files)))
        beside = [each for each in folders if (each / name).is_file()]
        if len(beside) > 1 or (beside and len(folders) > 1):
            names = ", ".join(escaped(str(each / name)) for each in beside)
            raise Fault(f"which recipe for all inputs? Name one with {option}; here: {names}")
        return beside[0] / name if beside else None


def check_inputs(given: Sequence[str], out: Path | None = None) -> Inputs:
    """Resolve the inputs. Raises Fault where one can't be used, or not with this output."""
    folders: list[Path] = []
    files: list[Path] = []
    for text in given:
        shown = escaped(text)
        path = Path(text)
        try:
            path.stat()
        except FileNotFoundError:
            raise Fault(f"no such file or folder: {shown}") from None
        except (OSError, ValueError) as error:
            raise Fault(f"{shown} can't be read: {getattr(error, 'strerror', error)}") from None
        resolved = path.resolve()
        is_folder = path.is_dir()
        if not is_folder and not path.is_file():
            raise Fault(f"{shown} is neither a folder nor a regular file")
        if out is not None:
            _check_apart(shown, resolved, out, is_folder=is_folder)
        (folders if is_folder else files).append(resolved)
    return Inputs(folders=tuple(dict.fromkeys(folders)), files=tuple(dict.fromkeys(files)))


def _check_apart(shown: str, resolved: Path, out: Path, *, is_folder: bool) -> None:
    """Raise Fault where the input lies in the output, or the output in it."""
    target = out.resolve()
    if is_folder and (target == resolved or target.is_relative_to(resolved)):
        raise Fault(
            f"the output {escaped(str(out))} lies inside the input {shown}, so reports "
            "would become documents; choose an --out outside it"
        )
    if resolved.is_relative_to(target):
        which = "; choose" if is_folder else ", which holds reports; choose"
        raise Fault(
            f"the input {shown} lies inside the output {escaped(str(out))}{which} another --out"
        )


def check_documents(blobs: Blobs, inputs: Inputs, recipe: Recipe) -> None:
    """Look through everything before anything is taken in, where it may have to be refused.

    Raises Fault when the prompt needs columns and nothing is a manifest's row, or when documents
    are to be grouped by a column that no manifest has.
    """
    _check_grouping(blobs, inputs, recipe)
    if not recipe.needs_columns:
        return
    anything = False
    for sighting in sightings(blobs, inputs, recipe):
        failure = sighting.failure
        if sighting.content.is_row or (failure and failure.type == "invalid_manifest"):
            return
        anything = True
    if anything:
        raise _no_columns(recipe)


def _check_grouping(blobs: Blobs, inputs: Inputs, recipe: Recipe) -> None:
    if recipe.group_by in GROUPINGS or (recipe.each and recipe.group_by == recipe.each.name):
        return
    columns: set[str] = set()
    for found, path, direct in _found(blobs, inputs, recipe):
        if isinstance(found, Blob):
            columns |= columns_of(blobs, found, path, named_directly=direct)
        if recipe.group_by in columns:
            return
    have = f"manifests here have {', '.join(sorted(columns))}" if columns else "no input is one"
    raise Fault(
        escaped(
            f"group by {recipe.group_by!r}: neither {', '.join(GROUPINGS)} nor a column of a "
            f"manifest ({have})"
        )
    )


def sightings(
    blobs: Blobs, inputs: Inputs, recipe: Recipe, *, tell: Tell = to_nobody
) -> Iterator[Sighting]:
    """Every document of the inputs, and what can't become one as its failure; `tell` hears what is
    left out of archives, work trees and outputs of docmill.

    Raises Fault at once when the recipe can't fit any input.
    """
    if recipe.needs_columns and not _any_manifest(inputs):
        raise _no_columns(recipe)
    told = set(map(str, inputs.folders))
    for folder in sorted(told):
        _tell_own(folder, tell)
    files = set(map(key_of, inputs.files))
    for found, path, direct in _found(blobs, inputs, recipe):
        parent = "/" + found.key.rstrip("/").rpartition("/")[0]
        if parent not in told and found.key not in files:
            told.add(parent)
            _tell_own(parent, tell)
        if isinstance(found, Folder):
            yield from folder_sightings(found, recipe)
        else:
            yield from sightings_of(
                blobs, found, path, recipe=recipe, named_directly=direct, tell=tell
            )
    if recipe.shape.archives is not None and any(map(is_work_tree, inputs.folders)):
        for folder, left_out in WorkTrees(inputs.folders).left_out().items():
            if left_out.kinds:
                tell(f"{folder}: left out {left_out}")


def _tell_own(folder: str, tell: Tell) -> None:
    if own := own_files(folder):
        tell(escaped(f"{folder}: left out docmill's own {', '.join(own)}"))


def _no_columns(recipe: Recipe) -> Fault:
    return Fault(
        f"the prompt of {recipe.name} uses {', '.join(sorted(recipe.needs_columns))}, which "
        "only rows of a manifest have, and no input is one"
    )


def _any_manifest(inputs: Inputs) -> bool:
    """Whether rows may come; a folder may hold a manifest, which shows when it is read."""
    return bool(inputs.folders) or any(
        manifest_kind(file.name, named_directly=True) for file in inputs.files
    )


def _found(
    blobs: Blobs, inputs: Inputs, recipe: Recipe
) -> Iterator[tuple[Blob | Unlisted | Folder, str, bool]]:
    for folder in inputs.folders:
        if recipe.shape.whole_archives and is_work_tree(folder):
            whole = look(blobs, f"{key_of(folder)}/", folder.name)
            if whole is not None:
                yield whole, whole.path, False
            continue
        for found, path in with_folders(in_folder(blobs, folder), recipe.shape):
            yield found, path, False
    for file in inputs.files:
        key = key_of(file)
        try:
            yield blobs.stat(key), file.name, True
        except BlobError as error:
            yield Unlisted(key=key, message=error.message), file.name, True


def in_folder(blobs: Blobs, folder: Path) -> Iterator[tuple[Blob | Unlisted, str]]:
    """What is meant to be a document in an absolute folder, each with its path below that."""
    prefix = key_of(folder) + "/" if folder != Path("/") else ""
    for found in blobs.list(prefix):
        path = found.key.removeprefix(prefix)
        if is_document(path.rstrip("/")):
            yield found, path


def key_of(path: Path) -> str:
    """The key of an absolute path in blobs whose root is `/`."""
    return str(path).lstrip("/")
