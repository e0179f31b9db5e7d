"""What must be true once a calm world has had its time: nothing is left open anywhere."""

import json
from collections import Counter
from collections.abc import Iterator

from shared.app.sightings import RECIPE_NAME
from shared.domain.batch import LIVE
from shared.domain.document import Document, DocumentStatus
from shared.domain.ids import JobName
from shared.domain.names import report_path
from shared.ports.blobs import Blob
from tests.world.recipes import Recipes
from tests.world.world import World

_UNPROVABLE = "doubt_unresolved"
_RULE = "in the end everything is settled"


def settled(world: World) -> None:
    """Blame what is left."""
    for fact in _left(world):
        world.stage.rules.blame(_RULE, fact)


def _left(world: World) -> Iterator[str]:
    mirror = world.stage.mirror
    for batch in mirror.batches.values():
        if batch.status in LIVE:
            yield f"{batch.id} is still {batch.status} ({batch.note})"
    for group in mirror.groups.values():
        yield f"group {group.name!r} of {group.job} is still open"
    for document in mirror.documents.values():
        yield from _document(world, document)
    yield from _unseen(world)
    yield from _orphans(world)
    for job in world.people.jobs:
        yield from _stored(world, JobName(job))
        yield from _published(world, JobName(job))


def _document(world: World, document: Document) -> Iterator[str]:
    name = f"{document.job}/{document.path}"
    report = world.stage.rules.reports.get(name)
    if document.part is not None:
        whole = world.stage.mirror.documents.get((document.job, document.part.of))
        if whole is None or whole.status is not DocumentStatus.FAILED:
            status = whole.status if whole else "forgotten"
            yield f"{name!r} is left, and its document is {status}"
        return
    match document.status:
        case DocumentStatus.FAILED if document.failure is not None:
            if not (document.failure.type and document.failure.message):
                yield f"{name} failed without words"
        case DocumentStatus.REPORTED:
            now = world.people.versions.get(name)
            held = {blob.key for blob in world.home.reports.list() if isinstance(blob, Blob)}
            if report is None or report_path(name, document.report_suffix) not in held:
                yield f"{name} is reported and has no report"
            elif name in world.people.current and report.by.version != now:
                yield f"{name} is version {now}, and its report is of {report.by.version}"
        case _:
            yield f"{name} is still {document.status}"
    if document.newer is not None:
        yield f"a newer version of {name} is still left"


def _unseen(world: World) -> Iterator[str]:
    """The recipe came last, so all that lies in a job was looked at once more."""
    mirror = world.stage.mirror
    for name in world.people.current:
        job, _, path = name.partition("/")
        if (JobName(job), path) not in mirror.documents:
            yield f"{name} lies in the bucket, and nobody knows it"


def _orphans(world: World) -> Iterator[str]:
    """What the provider made for docmill is known, or was canceled, or its proof is kept no more
    and a failure says so."""
    known = {batch.provider_id for batch in world.stage.mirror.batches.values()}
    for batch_id, requests in world.stage.ledger.batches.items():
        made, ours = requests[0].batch, world.stage.mirror.batches.get(requests[0].ours)
        if batch_id in known or made.canceled_at is not None:
            continue
        # Its results are kept no more, or it has none: the only line of one may be lost.
        mute = made.archived(world.now) or len(requests) == 1
        if mute and ours and ours.failure and ours.failure.type == _UNPROVABLE:
            continue
        status = ours.status if ours else "unknown"
        yield f"nobody knows {batch_id}, which was made for {requests[0].ours} ({status})"


def _stored(world: World, job: JobName) -> Iterator[str]:
    """The rules looked at the mirror, so it has to be the truth."""
    mirror, store = world.stage.mirror, world.home.store
    stored = {document.path: document.status for document in store.all_documents(job)}
    mirrored = {
        d.path: d.status for (of, _), d in mirror.documents.items() if of == job and not d.part
    }
    if stored != mirrored:
        yield f"the store holds other documents of {job} than were written: {stored}, {mirrored}"
    batches = {batch.id: batch.status for batch in store.batches(job)}
    if batches != {b.id: b.status for b in mirror.batches.values() if b.job == job}:
        yield f"the store holds other batches of {job} than were written"


def _published(world: World, job: JobName) -> Iterator[str]:
    documents = [
        d for (of, _), d in world.stage.mirror.documents.items() if of == job and d.part is None
    ]
    if not documents:
        return
    yield from _tables(world, job, documents)
    failures = {
        document.path: document.failure.type
        for document in documents
        if document.status is DocumentStatus.FAILED and document.failure is not None
    }
    lines = world.home.reports.read(f"{job}/failures.jsonl").splitlines()
    told = {line["path"]: line["type"] for line in map(json.loads, lines)}
    told.pop(RECIPE_NAME, None)
    if told != failures:
        yield f"failures.jsonl of {job} tells {told}, and true is {failures}"
    summary = json.loads(world.home.reports.read(f"{job}/summary.json"))
    counts = Counter(document.status for document in documents)
    if {status: summary["documents"][status] for status in counts} != counts:
        yield f"summary.json of {job} tells {summary['documents']}, and true is {dict(counts)}"
    batches = [b for b in world.stage.mirror.batches.values() if b.job == job]
    if {b["id"]: b["status"] for b in summary["batches"]} != {b.id: b.status for b in batches}:
        yield f"summary.json of {job} tells of other batches"
    reported = sum(b.totals.reported for b in batches if b.totals is not None)
    if summary["outcomes"]["reported"] != reported:
        yield f"summary.json of {job} tells {summary['outcomes']}, and true is {reported} reported"


def _tables(world: World, job: JobName, documents: list[Document]) -> Iterator[str]:
    if not Recipes(world.people.bucket)(job).form.fields:
        return
    lines = world.home.reports.read(f"{job}/results.jsonl").splitlines()
    told = [line["document"] for line in map(json.loads, lines)]
    true = sorted(
        document.path
        for document in documents
        if document.status is DocumentStatus.REPORTED and document.rows_in is not None
    )
    if told != true:
        yield f"results.jsonl of {job} has rows of {told}, and true is {true}"
