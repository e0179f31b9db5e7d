"""What left the input: its failures are no longer the truth, and what waits needs no report.

Documents in a batch are left alone: their reports come, and are paid for.
"""

from collections.abc import Iterable, Iterator, Mapping

from shared.app.deps import Deps, NoRecipe
from shared.app.folders import is_there
from shared.app.groups import mark_stale
from shared.app.parts import drop, given_up
from shared.app.slices import slices
from shared.app.variants import plain
from shared.domain.document import Document, DocumentStatus, Failure, Sighting, source_gone
from shared.domain.ids import JobName
from shared.domain.recipe_input import InputShape
from shared.domain.variants import plain_path
from shared.ports.blobs import BlobError, BlobNotFound

_OF_THE_WHOLE = ("invalid_manifest", "invalid_archive")
_FREE = (DocumentStatus.WAITING, DocumentStatus.FAILED)


def forget_gone(deps: Deps, job: JobName) -> None:
    """Forget failed documents whose source isn't there any more, or not for their variant.

    An unreadable folder is forgotten too: whoever lists next finds it again, or what it holds.
    """
    each = deps.recipe(job).each
    variants: tuple[str | None, ...] = each.values if each else (None,)
    known: dict[str, bool] = {}

    def is_gone(document: Document) -> bool:
        source = document.content.source
        if source.endswith("/") and not document.content.files:
            return True
        if document.content.variant not in variants:
            return True
        if source not in known:
            known[source] = _is_gone(deps, source)
        return known[source]

    forget(deps, (each for each in deps.store.failed(job) if is_gone(each)))


def forget_source(deps: Deps, job: JobName, source: str, paths: Iterable[str]) -> None:
    """Forget what came from a blob that was removed: documents at `paths`, and failed rows."""
    at_paths = deps.store.documents(job, list(paths)).values()
    forget(deps, (each for each in at_paths if each.content.source == source))
    forget(deps, (each for each in deps.store.failed(job) if each.content.source == source))


def forget_rows(deps: Deps, job: JobName, manifests: Mapping[str, str]) -> None:
    """Forget failures of rows and members that manifests and archives, given by their etags, don't
    have any more."""

    def is_outdated(document: Document) -> bool:
        row, failure = document.content.row, document.failure
        etag = manifests.get(document.content.source)
        if etag is None:
            return False
        if row is None:
            return failure is not None and failure.type in _OF_THE_WHOLE
        return row.manifest_etag != etag

    forget(deps, (each for each in deps.store.failed(job) if is_outdated(each)))


def forget_misfits(deps: Deps, job: JobName, *, waiting: bool = False) -> None:
    """Forget failed documents that are none by the job's recipe, which has changed: files of what
    is one document now, or the other way round. What waits is never sent; with `waiting` it is
    forgotten as well."""
    try:
        shape = deps.recipe(job).shape
    except NoRecipe:
        return
    forget(deps, (each for each in deps.store.failed(job) if misfits(each, shape)))
    if waiting:
        for group in list(deps.store.groups(job)):
            found = deps.store.waiting(job, group.name)
            wholes = (each for each in found if each.part is None)
            forget(deps, (each for each in wholes if misfits(each, shape)))


def misfits(document: Document, shape: InputShape) -> bool:
    """Whether input of this shape has no such document."""
    content = document.content
    path = plain(document)
    if content.is_row:
        return False
    if content.packed is not None:
        return shape.whole_archives
    if content.files and content.source.endswith("/"):
        of_a_run = shape.whole_archives and "/" not in path
        return not of_a_run and shape.folder_of(f"{path}/part") != path
    if content.files and not shape.whole_archives:
        return True
    return shape.folder_of(path) is not None


def forget_former(deps: Deps, job: JobName, sightings: Iterable[Sighting]) -> None:
    """Forget what waited, or failed, from before its recipe made variants of it."""
    former = {
        plain_path(each.path, each.content.variant): each.content.source
        for each in sightings
        if each.content.variant is not None
    }
    if former:
        known = deps.store.documents(job, former.keys()).values()
        forget(
            deps,
            (
                each
                for each in known
                if each.content.variant is None and each.content.source == former[each.path]
            ),
        )


def forget(deps: Deps, documents: Iterable[Document]) -> None:
    """Forget these, but for those that have a report: they go back to it."""
    for part in slices(_free(deps, documents)):
        after = {document.path: source_gone(document) for document in part}
        mark_stale(deps.store, part[0].job)
        for each in part:
            drop(deps, each)
        gone = [each for each in part if after[each.path] is None]
        deps.store.delete_documents(gone)
        deps.follow("documents_forgotten", gone)
        deps.store.swap_documents([each for each in after.values() if each is not None])
        mark_stale(deps.store, part[0].job)


def _free(deps: Deps, documents: Iterable[Document]) -> Iterator[Document]:
    """Those that no batch holds. One in parts fails first: nobody brings it on without them."""
    failure = Failure(type="not_found", message="it is not in the input any more", retryable=True)
    for document in documents:
        if document.status in _FREE:
            yield document
        elif document.status is DocumentStatus.IN_PARTS:
            mark_stale(deps.store, document.job)
            yield from given_up(deps, [document], failure)


def _is_gone(deps: Deps, source: str) -> bool:
    try:
        if source.endswith("/"):
            return not is_there(deps.documents, source)
        deps.documents.stat(source)
    except BlobNotFound:
        return True
    except BlobError:
        return False
    return False
