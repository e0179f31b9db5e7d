"""What was seen becomes what it is to be: under a recipe with `each`, its variants."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from shared.domain.document import Document, Failure, Sighting
from shared.domain.names import InvalidName, check_path
from shared.domain.recipe import Recipe
from shared.domain.rendering import RenderInput
from shared.domain.variants import plain_path, variant_path

_OF_THE_WHOLE = frozenset(
    {"invalid_archive", "invalid_manifest", "unreadable_folder", "invalid_name"}
)
"""Failures of what isn't one document."""


def in_variants(sightings: Iterable[Sighting], recipe: Recipe | None) -> Iterator[Sighting]:
    """Each sighting, or one for each of the recipe's values."""
    each = recipe.each if recipe else None
    if recipe is None or each is None:
        yield from sightings
        return
    grouped = recipe.group_by == each.name
    for sighting in sightings:
        failure = sighting.failure
        if failure is not None and (
            sighting.content.row is not None or failure.type in _OF_THE_WHOLE
        ):
            yield sighting
            continue
        for value in each.values:
            yield _variant(sighting, value, group=value if grouped else sighting.group)


def _variant(sighting: Sighting, value: str, *, group: str) -> Sighting:
    path = variant_path(sighting.path, value)
    failure = sighting.failure
    if failure is None:
        try:
            check_path(path)
        except InvalidName as error:
            failure = Failure(type="invalid_name", message=error.message)
    content = replace(sighting.content, variant=value)
    return replace(sighting, path=path, group=group, content=content, failure=failure)


def paths_of(path: str, recipe: Recipe | None) -> list[str]:
    """Every path that the document at `path` may be known by: its own, and its variants'."""
    each = recipe.each if recipe else None
    return [path, *(variant_path(path, value) for value in each.values)] if each else [path]


def plain(document: Document) -> str:
    """The path of the document that a variant is of, or its own."""
    return plain_path(document.path, document.content.variant)


def rendered_as(document: Document, read: RenderInput) -> RenderInput:
    """What the template sees of a variant: its document, and the value."""
    value = document.content.variant
    if value is None:
        return read
    return replace(
        read, name=plain_path(read.name, value), path=plain_path(read.path, value), variant=value
    )
