"""What lies in the inputs of a run, each document under the path its report will have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from handlers.cli.faults import Fault
from shared.app.sightings import RECIPE_NAME, is_marker, sight, unusable
from shared.domain.document import Sighting
from shared.domain.manifest import InvalidManifest, manifest_kind
from shared.domain.names import escaped
from shared.domain.recipe import Recipe
from shared.ports.blobs import Blob, BlobError, Blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Folders, files and manifests as given, resolved to absolute paths."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]

    @property
    def recipe(self) -> Path | None:
        """The recipe that lies beside the documents of a single folder."""
        if len(self.folders) == 1 and (self.folders[0] / RECIPE_NAME).is_file():
            return self.folders[0] / RECIPE_NAME
        return None


def check_inputs(given: Sequence[str], out: Path) -> Inputs:
    """Resolve the inputs. Raises Fault where one can't be used with this output."""
    folders: list[Path] = []
    files: list[Path] = []
    target = out.resolve()
    for text in given:
        shown = escaped(text)
        path = Path(text)
        try:
            kind = path.stat()
        except FileNotFoundError:
            raise Fault(f"no such file or folder: {shown}") from None
        except (OSError, ValueError) as error:
            raise Fault(f"{shown} can't be read: {getattr(error, 'strerror', error)}") from None
        resolved = path.resolve()
        if path.is_dir():
            if target == resolved or target.is_relative_to(resolved):
                raise Fault(
                    f"the output {escaped(str(out))} lies inside the input {shown}, so reports "
                    "would become documents; choose an --out outside it"
                )
            if resolved.is_relative_to(target):
                raise Fault(
                    f"the input {shown} lies inside the output {escaped(str(out))}; "
                    "choose another --out"
                )
            folders.append(resolved)
        elif path.is_file():
            files.append(resolved)
        else:
            raise Fault(f"{shown} is neither a folder nor a regular file ({kind.st_mode:o})")
    return Inputs(folders=tuple(dict.fromkeys(folders)), files=tuple(dict.fromkeys(files)))


def check_documents(blobs: Blobs, inputs: Inputs, recipe: Recipe) -> None:
    """Look through everything before anything is taken in, where it may have to be refused.

    Raises Fault when two documents would have the same report, and when the prompt needs columns
    and nothing is a manifest's row.
    """
    several = len(inputs.folders) + len(inputs.files) > 1
    if not several and not recipe.needs_columns:
        return
    seen: dict[str, str] = {}
    anything = any_row = False
    for sighting in sightings(blobs, inputs, recipe):
        failure = sighting.failure
        if several and failure is None:
            _check_unique(seen, sighting)
        anything = True
        any_row = any_row or sighting.content.row is not None
        any_row = any_row or (failure is not None and failure.type == "invalid_manifest")
    if recipe.needs_columns and anything and not any_row:
        raise _no_columns(recipe)


def sightings(blobs: Blobs, inputs: Inputs, recipe: Recipe) -> Iterator[Sighting]:
    """Every document of the inputs, and what can't become one as its failure.

    Raises Fault at once when the recipe can't fit any input.
    """
    if recipe.needs_columns and not _any_manifest(inputs):
        raise _no_columns(recipe)
    for blob, path, direct in _blobs(blobs, inputs):
        if isinstance(blob, BlobError):
            yield unusable(path, "unreadable", blob.message)
            continue
        try:
            yield from sight(blobs, blob, path, recipe=recipe, named_directly=direct)
        except InvalidManifest as error:
            yield unusable(path, "invalid_manifest", str(error), blob=blob)


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


def _check_unique(seen: dict[str, str], sighting: Sighting) -> None:
    source = sighting.content.source
    before = seen.setdefault(sighting.path, source)
    if before != source:
        raise Fault(
            f"/{before} and /{source} would both have the report "
            f"{escaped(sighting.path)}.md; give their common folder as the input, or rename one"
        )


def _blobs(blobs: Blobs, inputs: Inputs) -> Iterator[tuple[Blob | BlobError, str, bool]]:
    for folder in inputs.folders:
        prefix = key_of(folder) + "/" if folder != Path("/") else ""
        for blob in blobs.list(prefix):
            if isinstance(blob, BlobError):
                yield blob, blob.message, False
            elif not is_marker(path := blob.key.removeprefix(prefix)):
                yield blob, path, False
    for file in inputs.files:
        try:
            yield blobs.stat(key_of(file)), file.name, True
        except BlobError as error:
            yield error, file.name, True


def key_of(path: Path) -> str:
    """The key of an absolute path in blobs whose root is `/`."""
    return str(path).lstrip("/")
