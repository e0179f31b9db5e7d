"""What an index found, as the rows have it: an index that lags shows what was and hides what is."""

from collections.abc import Iterator

from shared.app.deps import Deps
from shared.app.slices import slices
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName


def still(
    deps: Deps, job: JobName, found: Iterator[Document], status: DocumentStatus
) -> Iterator[Document]:
    """Those of the documents found that are in that status, read anew where the index may lag."""
    if not deps.policy.index_lag:
        yield from found
        return
    for part in slices(found):
        rows = deps.store.documents(job, [document.path for document in part])
        for candidate in part:
            document = rows.get(candidate.path)
            if document is not None and document.status is status:
                yield document


def waiting_of(deps: Deps, job: JobName) -> Iterator[Document]:
    """The documents that wait in all open groups of the job, without parts of others."""
    for group in list(deps.store.groups(job)):
        found = deps.store.waiting(job, group.name)
        for document in still(deps, job, found, DocumentStatus.WAITING):
            if document.part is None:
                yield document
