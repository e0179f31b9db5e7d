"""The records of parts, and what becomes of the document that they belong to.

A document is IN_PARTS only while something brings it on: a part that waits in an open group, or one
in a batch, which isn't closed before its document was looked at. So parts are written before their
document is IN_PARTS; a document fails before its parts that were not sent do; and nobody forgets a
part that waits while its document does, as somebody may be splitting it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from shared.app.deps import Deps
from shared.app.groups import mark_stale, open_groups_of
from shared.app.slices import slices
from shared.domain.document import (
    Document,
    DocumentStatus,
    Failure,
    all_answered,
    failed,
)
from shared.domain.ids import JobName
from shared.domain.parts import Part, Parts, answer_name, is_part, whole_of

_UNDER_WAY = (DocumentStatus.WAITING, DocumentStatus.IN_BATCH)


def wanted(
    deps: Deps, job: JobName, waiting: Iterable[Document], *, tidy: bool = False
) -> Iterator[Document]:
    """What of that is to be sent: of parts those that their document waits for.

    With `tidy` the others are forgotten, unless their document is about to be split.
    """
    whole: Document | None = None
    of: str | None = None
    for document in waiting:
        part = document.part
        if part is None:
            yield document
            continue
        if of != part.of:
            of, whole = part.of, deps.store.documents(job, [part.of]).get(part.of)
        if whole is not None and _waits_for(whole, part):
            yield document
        elif tidy and (whole is None or whole.status is not DocumentStatus.WAITING):
            deps.store.delete_documents([document])


def bring_on(deps: Deps, job: JobName, paths: Iterable[str]) -> None:
    """Look after the documents whose parts these are, after they were settled; safe to repeat.

    Whoever closes a batch calls this before, for all that was in it: a crash in between is made up
    for by the next who closes it. Of two that settle the last two parts at a time, the later one to
    write sees both. A document that waits is written as it is, under another revision: whoever is
    about to split it has seen these parts as they were, and has to look again.
    """
    of: dict[str, set[str]] = {}
    for path in paths:
        if is_part(path):
            of.setdefault(whole_of(path), set()).add(path)
    for whole, parts in of.items():
        while not _brought_on(deps, job, whole, parts):
            pass


def drop(deps: Deps, document: Document) -> None:
    """Forget a document's parts that are settled, and their answers. Of the others, who settles or
    sends them sees that nobody waits for them: somebody may be about to."""
    if document.parts is None or not document.parts.counts:
        return
    for paths in slices(document.parts.all_paths(document.path)):
        found = deps.store.documents(document.job, paths).values()
        _forget(deps, [part for part in found if part.status not in _UNDER_WAY])


def drop_merged(deps: Deps, job: JobName, paths: Collection[str]) -> None:
    """Forget the parts of those of the documents that have their reports by now."""
    for document in deps.store.documents(job, paths).values() if paths else ():
        if document.parts is not None and document.status is DocumentStatus.REPORTED:
            drop(deps, document)


def end_parts(deps: Deps, documents: Sequence[Document]) -> list[Document]:
    """Of documents that go on without having been sent, those that are to be written.

    Of a part that failed, its document fails first, and then the part is written here: when the
    document is tried again, so is the part, and those that are answered are kept.
    """
    others: list[Document] = []
    over: list[Document] = []
    for each in documents:
        is_over = each.part is not None and each.status is DocumentStatus.FAILED
        (over if is_over else others).append(each)
    for part in over:
        while not _failed_whole(deps, part):
            pass
    if over:
        deps.store.swap_documents(over)
        bring_on(deps, over[0].job, [part.path for part in over])  # it may be split just now
    return others


def given_up(deps: Deps, documents: Iterable[Document], failure: Failure) -> list[Document]:
    """Documents in parts, as they are once they wait for those no more. What somebody else wrote
    meanwhile is left out."""
    after = [failed(document, failure, now=deps.clock()) for document in documents]
    lost = deps.store.swap_documents(after) if after else set()
    written = [each.path for each in after if each.path not in lost]
    return list(deps.store.documents(after[0].job, written).values()) if written else []


def parts_of(deps: Deps, document: Document) -> list[Document]:
    """The records of all parts of a document that there are."""
    if document.parts is None or not document.parts.counts:
        return []
    paths = document.parts.all_paths(document.path)
    return list(deps.store.documents(document.job, paths).values())


def answer_key(deps: Deps, job: JobName, path: str) -> str:
    """Where the answer of a part lies."""
    return deps.output_key(job, answer_name(path))


def _waits_for(whole: Document, part: Part) -> bool:
    return whole.status is DocumentStatus.IN_PARTS and _is_split_so(whole, part)


def _is_split_so(whole: Document, part: Part) -> bool:
    return whole.parts is not None and whole.parts.splitting == part.splitting


def _brought_on(deps: Deps, job: JobName, of: str, paths: set[str]) -> bool:
    """False when somebody else wrote the document meanwhile."""
    known = deps.store.documents(job, [of, *paths])
    whole = known.pop(of, None)
    settled = [each for each in known.values() if each.status not in _UNDER_WAY]
    over = [
        each
        for each in settled
        if whole is None
        or whole.status is DocumentStatus.REPORTED
        or (each.part is not None and not _is_split_so(whole, each.part))
    ]
    if (
        whole is not None
        and whole.status is DocumentStatus.WAITING
        and deps.store.swap_documents([whole])
    ):
        return False
    _forget(deps, over)
    if whole is None or whole.parts is None or len(over) == len(settled):
        return True
    after = _after(deps, whole, whole.parts)
    if after is None:
        return True
    mark_stale(deps.store, job)
    if after.status is DocumentStatus.WAITING:
        open_groups_of(deps.store, [after], now=deps.clock(), ready=True)
    if deps.store.swap_documents([after]):
        return False
    mark_stale(deps.store, job)
    _tell(deps, after)
    return True


def _after(deps: Deps, whole: Document, parts: Parts) -> Document | None:
    """A document as it goes on now that a part is settled; None when it doesn't."""
    if whole.status is not DocumentStatus.IN_PARTS:
        return None
    rows = deps.store.documents(whole.job, parts.paths(whole.path, len(parts.counts) - 1))
    for path in sorted(rows):
        if rows[path].status is DocumentStatus.FAILED:
            return failed(whole, named(rows[path]), now=deps.clock())
    if any(each.status in _UNDER_WAY for each in rows.values()):
        return None
    return all_answered(whole, now=deps.clock())


def _failed_whole(deps: Deps, part: Document) -> bool:
    """False when somebody else wrote the document meanwhile."""
    if part.part is None:
        raise AssertionError(f"{part.path} is no part")
    whole = deps.store.documents(part.job, [part.part.of]).get(part.part.of)
    if whole is None or not _waits_for(whole, part.part):
        return True
    after = failed(whole, named(part), now=deps.clock())
    mark_stale(deps.store, part.job)
    if deps.store.swap_documents([after]):
        return False
    mark_stale(deps.store, part.job)
    _tell(deps, after)
    return True


def named(part: Document) -> Failure:
    """Why the document of a part that failed has failed."""
    if part.failure is None or part.part is None:
        raise AssertionError(f"{part.path} is no part that failed")
    place = part.part.place
    what = f"part {place}" if part.part.level == 0 else f"merging its parts, run {place}"
    return replace(part.failure, message=f"{what}: {part.failure.message}")


def _tell(deps: Deps, whole: Document) -> None:
    if whole.failure is not None and whole.status is DocumentStatus.FAILED:
        deps.emit(
            "document_failed",
            document=whole.path,
            correlation_id=whole.correlation_id,
            type=whole.failure.type,
            message=whole.failure.message,
        )
        deps.follow("documents_failed", [whole], type=whole.failure.type)


def _forget(deps: Deps, parts: Sequence[Document]) -> None:
    """Their answers first: whoever comes upon the records after a crash forgets them once more."""
    for part in parts:
        if part.answer is not None:
            deps.reports.delete(answer_key(deps, part.job, part.path))
    if parts:
        deps.store.delete_documents(parts)
