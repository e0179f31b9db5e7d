"""Reports have to lie where they belong, or somewhere at least: an answer is paid for once.

Whether there is room is looked at before a document is sent. What comes and can't be written all
the same is kept aside, and put in its place when nothing is in the way any more.
"""

from collections.abc import Iterator

from shared.app.deps import Deps
from shared.app.groups import mark_stale
from shared.app.parts import drop_merged
from shared.app.slices import slices
from shared.domain.document import (
    REPORT_BLOCKED,
    REPORT_NOT_WRITTEN,
    Document,
    Failure,
    report_lost,
    reported,
)
from shared.domain.ids import CustomId, JobName
from shared.domain.names import REPORT_SUFFIX, report_path
from shared.domain.report import REPORT_BEGINS
from shared.ports.blobs import BlobNotFound, BlobUnreadable

_ASIDE = ".docmill/unwritten"


def report_key(deps: Deps, document: Document) -> str:
    """Where the document's report belongs."""
    return deps.output_key(document.job, report_path(document.path))


def has_report(deps: Deps, document: Document) -> bool:
    """Whether its report is there. Raises BlobStoreUnavailable."""
    return deps.reports.exists(report_key(deps, document))


def blocked(deps: Deps, document: Document) -> Failure | None:
    """Why the document's report could not be written. Raises BlobStoreUnavailable."""
    key = report_key(deps, document)
    first = deps.policy.check_reports and document.reported_digest is None
    message = deps.reports.obstacle(key, ours=REPORT_BEGINS if first else b"")
    if message is None and (above := _report_above(deps, document)) is not None:
        message = f"its report would lie below that of {above}, which is a file"
    if message is None:
        return None
    return Failure(
        type=REPORT_BLOCKED,
        message=f"not sent: {message}; rename or remove one of them and run again",
        retryable=True,
        attempts=document.attempts,
    )


def keep(deps: Deps, job: JobName, custom_id: CustomId, report: bytes) -> str | None:
    """Keep a report that can't be written in its place; says where, None when it can't be kept."""
    key = _aside(deps, job, custom_id)
    try:
        deps.reports.write_many([(key, report)])
    except BlobUnreadable:
        return None
    return deps.reports.shown(key)


def put_in_place(deps: Deps, job: JobName) -> tuple[int, frozenset[str]]:
    """Write the reports that are kept where they belong: how many, and the documents for which
    something is in the way still. Raises BlobStoreUnavailable.

    Assumes to be the only process on this state: another could have a newer report there already.
    """
    written = 0
    waiting: set[str] = set()
    for part in slices(_unwritten(deps, job)):
        done: list[Document] = []
        gone: list[Document] = []
        for document in part:
            try:
                if _put(deps, document):
                    done.append(document)
                else:
                    waiting.add(document.path)
            except BlobNotFound:
                gone.append(report_lost(document, now=deps.clock()))
        mark_stale(deps.store, job)
        deps.store.swap_documents(gone)
        lost = deps.store.swap_documents([reported(each, now=deps.clock()) for each in done])
        mark_stale(deps.store, job)
        drop_merged(deps, job, [each.path for each in done if each.parts is not None])
        for document in done:
            if document.path not in lost:
                deps.reports.delete(_aside(deps, job, _kept(document)))
        written += len(done) - len(lost)
    return written, frozenset(waiting)


def _unwritten(deps: Deps, job: JobName) -> Iterator[Document]:
    return (
        document
        for document in deps.store.failed(job)
        if document.failure is not None
        and document.failure.type == REPORT_NOT_WRITTEN
        and document.failure.custom_id is not None
    )


def _put(deps: Deps, document: Document) -> bool:
    report = deps.reports.read(_aside(deps, document.job, _kept(document)))
    try:
        deps.reports.write_many([(report_key(deps, document), report)])
    except BlobUnreadable:
        return False
    return True


def _kept(document: Document) -> CustomId:
    if document.failure is None or document.failure.custom_id is None:
        raise AssertionError(f"no report of {document.path} is kept")
    return document.failure.custom_id


def _aside(deps: Deps, job: JobName, custom_id: CustomId) -> str:
    return deps.output_key(job, report_path(f"{_ASIDE}/{custom_id}"))


def _report_above(deps: Deps, document: Document) -> str | None:
    """A document whose report has the name of one of this one's folders."""
    folder, slash, _ = document.path.rpartition("/")
    if f"{REPORT_SUFFIX}/" not in folder + slash:
        return None
    names = folder.split("/")
    above = ("/".join(names[: number + 1]) for number in range(len(names)))
    paths = [path.removesuffix(REPORT_SUFFIX) for path in above if path.endswith(REPORT_SUFFIX)]
    return next(iter(deps.store.documents(document.job, paths)), None)
