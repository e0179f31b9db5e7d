"""What left the input: its failures are no longer the truth, and what waits needs no report.

Documents in a batch are left alone: their reports come, and are paid for.
"""

from collections.abc import Iterable, Iterator

from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.app.parts import drop, given_up
from shared.app.slices import slices
from shared.domain.document import Document, DocumentStatus, Failure, source_gone
from shared.domain.ids import JobName
from shared.ports.blobs import BlobError, BlobNotFound

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
        if source.endswith("/") or document.content.variant not in variants:
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


def forget_rows(deps: Deps, job: JobName, source: str, manifest_etag: str) -> None:
    """Forget failures of rows that this version of a manifest doesn't have any more."""

    def is_outdated(document: Document) -> bool:
        row, failure = document.content.row, document.failure
        if document.content.source != source:
            return False
        if row is None:
            return failure is not None and failure.type == "invalid_manifest"
        return row.manifest_etag != manifest_etag

    forget(deps, (each for each in deps.store.failed(job) if is_outdated(each)))


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
        deps.documents.stat(source)
    except BlobNotFound:
        return True
    except BlobError:
        return False
    return False
