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
from shared.domain.names import REPORT_SUFFIXES, RESERVED, report_path
from shared.domain.report import REPORT_BEGINS
from shared.ports.blobs import BlobNotFound, BlobUnreadable

_ASIDE = ".docmill/unwritten"


def report_key(deps: Deps, document: Document, suffix: str | None = None) -> str:
    """Where the document's report lies, or where one of that suffix belongs."""
    path = report_path(document.path, suffix or document.report_suffix)
    return deps.report_place(document.job, path)


def has_report(deps: Deps, document: Document) -> bool:
    """Whether its report is there. Raises BlobStoreUnavailable."""
    return deps.reports.exists(report_key(deps, document))


def blocked(deps: Deps, document: Document, suffix: str) -> Failure | None:
    """Why a report of that suffix could not be written. Raises BlobStoreUnavailable."""
    key = report_key(deps, document, suffix)
    here = document.reported_digest is not None and document.report_suffix == suffix
    first = deps.policy.check_reports and not here
    message = deps.reports.obstacle(key, ours=REPORT_BEGINS[suffix] if first else b"")
    if message is None and (above := _report_above(deps, document, suffix)) is not None:
        message = f"its report would lie below that of {above}, which is a file"
    if (name := report_path(document.path, suffix)).casefold() in RESERVED:
        message = f"its report would be called {name}, as a file of docmill's own"
    if message is None:
        return None
    return Failure(
        type=REPORT_BLOCKED,
        message=f"not sent: {message}; rename or remove one of them and run again",
        retryable=True,
        attempts=document.attempts,
    )


def remove_former(deps: Deps, document: Document | None, suffix: str) -> None:
    """A new report is written: remove the one before it, which a recipe with another output made.

    Of one suffix the new one has replaced it. Only a report of docmill's is removed, and only once
    the new one lies there, so cut short it is removed when the results are read again.
    """
    if document is None:
        return
    former = {document.report_suffix} if document.reported_digest is not None else set()
    if document.unfinished is not None and document.unfinished.suffix is not None:
        former.add(document.unfinished.suffix)
    for each in sorted(former - {suffix}):
        key = report_key(deps, document, each)
        if deps.reports.obstacle(key, ours=REPORT_BEGINS[each]) is None:
            deps.reports.delete(key)


def keep(
    deps: Deps, job: JobName, custom_id: CustomId, report: bytes, *, suffix: str
) -> str | None:
    """Keep a report that can't be written in its place; says where, None when it can't be kept."""
    key = _aside(deps, job, custom_id, suffix)
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
        lost = deps.store.swap_documents(
            [
                reported(
                    each,
                    now=deps.clock(),
                    suffix=_kept(each).suffix,
                    rows_in=_kept(each).rows_in,
                    merged=_kept(each).merged,
                )
                for each in done
            ]
        )
        mark_stale(deps.store, job)
        drop_merged(deps, job, [each.path for each in done if each.parts is not None])
        for document in done:
            if document.path not in lost:
                deps.reports.delete(_kept_key(deps, document))
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
    suffix = _kept(document).suffix
    report = deps.reports.read(_kept_key(deps, document))
    try:
        deps.reports.write_many([(report_key(deps, document, suffix), report)])
    except BlobUnreadable:
        return False
    remove_former(deps, document, suffix)
    return True


def _kept(document: Document) -> Failure:
    if document.failure is None:
        raise AssertionError(f"no report of {document.path} is kept")
    return document.failure


def _kept_key(deps: Deps, document: Document) -> str:
    failure = _kept(document)
    if failure.custom_id is None:
        raise AssertionError(f"no report of {document.path} is kept")
    return _aside(deps, document.job, failure.custom_id, failure.suffix)


def _aside(deps: Deps, job: JobName, custom_id: CustomId, suffix: str) -> str:
    return deps.output_key(job, report_path(f"{_ASIDE}/{custom_id}", suffix))


def _report_above(deps: Deps, document: Document, suffix: str) -> str | None:
    """A document whose report has, or would have, the name of one of this one's folders."""
    *folders, _ = document.path.split("/")
    above: dict[str, str] = {}
    for number, name in enumerate(folders, start=1):
        for ending in REPORT_SUFFIXES:
            if name.endswith(ending):
                path = "/".join(folders[:number]).removesuffix(ending)
                above[path] = ending
    if not above:
        return None
    for path, found in deps.store.documents(document.job, above).items():
        made = found.reported_digest is not None
        if above[path] == suffix or (made and above[path] == found.report_suffix):
            return path
    return None
