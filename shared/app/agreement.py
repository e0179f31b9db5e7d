"""Answers beside the truth: `confusion.csv`, derived whole from the documents and their rows."""

from collections.abc import Iterable, Iterator
from typing import Final

from shared.app.deps import Deps, NoRecipe
from shared.app.row_parts import current_rows
from shared.domain.confusion import Agreement, Confusion
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName
from shared.domain.names import CONFUSION
from shared.domain.truth import Truth
from shared.ports.blobs import BlobNotFound, BlobStoreUnavailable

_TRIES: Final = 3


def publish_agreement(deps: Deps, job: JobName) -> Agreement | None:
    """Write the table of a job whose recipe knows where the truth is; what it comes to."""
    try:
        truth = deps.recipe(job).truth
    except NoRecipe:
        return None
    if truth is None:
        return None
    for _ in range(_TRIES):
        try:
            confusion = _compared(deps, job, truth)
        except BlobNotFound:  # somebody made parts of rows one meanwhile
            continue
        deps.reports.write_many([(deps.output_key(job, CONFUSION), confusion.table())])
        return confusion.agreement
    raise BlobStoreUnavailable(f"the rows of {job} are being rewritten; {CONFUSION} comes later")


def _compared(deps: Deps, job: JobName, truth: Truth) -> Confusion:
    confusion = Confusion(truth)
    passed: list[str | None] = [None]
    documents = _told(deps.store.all_documents(job), confusion, passed)
    for row in current_rows(deps, job, documents):
        confusion.answered(passed[0], row.fields.get(truth.field))
    for _ in documents:  # those behind the last row may have failed
        pass
    return confusion


def _told(
    documents: Iterable[Document], confusion: Confusion, passed: list[str | None]
) -> Iterator[Document]:
    """The same documents; the truth of the one that was passed on last is in `passed`."""
    for document in documents:
        passed[0] = document.content.truth
        if document.status is DocumentStatus.FAILED:
            confusion.unanswered(document.content.truth)
        yield document
