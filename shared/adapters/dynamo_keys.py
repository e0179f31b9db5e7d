"""Where each record lies in the table, and under what the indexes find it.

| item | pk | sk | gsi1pk | gsi1sk |
|---|---|---|---|---|
| document, waiting | `JOB#<job>` | `DOC#<path>` | `WAITING#<job>|<group>` | order, path |
| document, failed | | | `FAILED#<job>` | path |
| document, else | | | none | none |
| group | `JOB#<job>` | `GROUP#<name>` | `GROUPS` | job, name |
| job | `JOB#<job>` | `JOB` | `STALE` when stale | name |
| batch | `BATCH#<id>` | `BATCH` | `BATCH#<status>` when live | `next_at`, id |
| its list | `BATCH#<id>` | `MEMBERS#<number>` | none | none |
| its checkpoint | `BATCH#<id>` | `CHECKPOINT` | none | none |
| pointer to a batch | `JOB#<job>` | `BATCH#<planned_at>#<id>` | none | none |
| what it asks | `ASKED#<job>|<block>` | `<batch id>` | none | none |
| pause | `PAUSE` | `PAUSE` | none | none |

gsi2 finds a batch by its provider's id. Lists and checkpoints get `expires`, by which the table
forgets them, once their batch has come to its end, and what a batch asks has it from the beginning;
nothing else ever does.

A partition takes 1,000 writes a second, and DynamoDB splits a busy one by its sort keys, but for
keys that only ever grow, such as numbered rows. So a job may be held to 1,000 documents' writes a
second, and a group to as many that begin or cease to wait. A million documents in an hour are 280 a
second taken in, as many claimed and as many settled: they fit, and 100,000 claims take 100 s, of
which five minutes' unused capacity covers most. Spreading a job over several partitions would make
every ordered reading (`waiting`, `failed`, history) a merge of them, for each of ten thousand
groups. What is too much for a moment is asked again: `shared.adapters.dynamo_errors`.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

from shared.adapters import records
from shared.domain.batch import LIVE, Batch, BatchStatus
from shared.domain.document import Document, DocumentStatus
from shared.domain.group import Group
from shared.domain.ids import BatchId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.parts import PART_PREFIX
from shared.domain.pause import Pause

Item = dict[str, dict[str, Any]]
"""An item as the wire has it: {"pk": {"S": "…"}, …}."""

_PK_LIMIT = 2048
_SK_LIMIT = 1024
"""Bytes of a partition and of a sort key (DynamoDB quotas), of indexes too."""

_BETWEEN = "\x1e"
_ESCAPES = {code: "\x1f" + chr(0x40 + code) for code in range(0x20)}
"""Between two names stands a character below any other, and those that aren't above it are escaped,
in their order: joined names are as distinct as the names, and sort as they do."""

DOC = "DOC#"
GROUP = "GROUP#"
BATCH = "BATCH#"
MEMBERS = "MEMBERS#"
CHECKPOINT = "CHECKPOINT"
GROUPS = "GROUPS"
STALE = "STALE"


def text(value: str) -> dict[str, str]:
    """A string on the wire."""
    return {"S": value}


def number(value: int) -> dict[str, str]:
    """A number on the wire."""
    return {"N": str(value)}


def key(pk: str, sk: str) -> Item:
    """The primary key of an item."""
    return {"pk": text(_fit(pk, _PK_LIMIT)), "sk": text(_fit(sk, _SK_LIMIT))}


def of_job(job: JobName) -> str:
    """The partition of a job's documents, groups and history."""
    return _fit(f"JOB#{_joined(job)}", _PK_LIMIT)


def of_batch(batch_id: BatchId) -> str:
    """The partition of a batch, its list and its checkpoint."""
    return f"BATCH#{batch_id}"


def waiting(job: JobName, group: str) -> str:
    """The index partition of a group's waiting documents."""
    return _fit(f"WAITING#{_joined(job, group)}", _PK_LIMIT)


def failed(job: JobName) -> str:
    """The index partition of a job's failed documents."""
    return _fit(f"FAILED#{_joined(job)}", _PK_LIMIT)


def live(status: BatchStatus) -> str:
    """The index partition of the batches of a live status."""
    return f"BATCH#{status}"


def due_by(now: datetime) -> str:
    """The end, in that partition, of what is due."""
    return records.stamp(now) + "~"


def groups_of(job: JobName) -> str:
    """How the index sort keys of a job's groups begin."""
    return _joined(job, "")


def document_key(job: JobName, path: str) -> Item:
    """Where a document lies."""
    return key(of_job(job), DOC + _joined(path))


def group_key(job: JobName, name: str) -> Item:
    """Where a group lies."""
    return key(of_job(job), GROUP + _joined(name))


def job_key(name: JobName) -> Item:
    """Where a job lies."""
    return key(of_job(name), "JOB")


def batch_key(batch_id: BatchId) -> Item:
    """Where a batch lies."""
    return key(of_batch(batch_id), "BATCH")


def checkpoint_key(batch_id: BatchId) -> Item:
    """Where a batch's checkpoint lies."""
    return key(of_batch(batch_id), CHECKPOINT)


def pause_key() -> Item:
    """Where the pause lies."""
    return key("PAUSE", "PAUSE")


def document_item(document: Document) -> Item:
    """A document, with what counting reads."""
    item = document_key(document.job, document.path) | _row(document)
    item["status"] = text(document.status)
    item["group"] = text(document.group)
    item["size"] = number(document.content.size)
    if document.status is DocumentStatus.WAITING:
        place = _joined(document.content.order, document.path)
        return item | _indexed(waiting(document.job, document.group), place)
    if document.status is DocumentStatus.FAILED:
        return item | _indexed(failed(document.job), _joined(document.path))
    return item


def is_of_part(item: Item) -> bool:
    """Whether a document's item is that of a part."""
    sk: str = item["sk"]["S"]
    return sk.startswith(DOC + _joined(PART_PREFIX))


def group_item(group: Group) -> Item:
    """A group: open as long as it is there."""
    place = _joined(group.job, group.name)
    return group_key(group.job, group.name) | _row(group) | _indexed(GROUPS, place)


def job_item(job: Job) -> Item:
    """A job."""
    item = job_key(job.name) | _row(job)
    return item | _indexed(STALE, _joined(job.name)) if job.stale else item


def batch_item(batch: Batch) -> Item:
    """A batch, without its list."""
    item = batch_key(batch.id) | _row(batch)
    if batch.provider_id is not None:
        item["gsi2pk"] = text(provider(batch.provider_id))
    if batch.status in LIVE:
        item |= _indexed(live(batch.status), f"{records.stamp(batch.next_at)}#{batch.id}")
    return item


def pointer_item(batch: Batch) -> Item:
    """How a job's history finds a batch; written once, as `planned_at` never changes."""
    place = f"{BATCH}{records.stamp(batch.planned_at)}#{batch.id}"
    return key(of_job(batch.job), place) | {"batch": text(batch.id)}


def members_item(batch_id: BatchId, place: int, data: bytes) -> Item:
    """One piece of a batch's list."""
    return key(of_batch(batch_id), f"{MEMBERS}{place:05d}") | {"data": {"B": data}}


def checkpoint_item(batch_id: BatchId, data: bytes) -> Item:
    """A checkpoint."""
    return checkpoint_key(batch_id) | {"data": {"B": data}}


def asked(job: JobName, block: int) -> str:
    """The partition of a block of what the job's batches ask."""
    return _fit(f"ASKED#{_joined(job, str(block))}", _PK_LIMIT)


def asked_item(job: JobName, block: int, batch_id: BatchId, data: bytes, *, expires: int) -> Item:
    """A block of what one batch asks."""
    return key(asked(job, block), batch_id) | {"data": {"B": data}, "expires": number(expires)}


def is_paper(item: Item) -> bool:
    """Whether an item of a batch's partition is its list or its checkpoint: of use to its end."""
    sk: str = item["sk"]["S"]
    return sk.startswith((MEMBERS, CHECKPOINT))


def pause_item(pause: Pause) -> Item:
    """The pause."""
    return pause_key() | _row(pause)


def provider(provider_id: ProviderId) -> str:
    """The partition of gsi2."""
    return f"PROVIDER#{provider_id}"


def _row(record: records.Revised) -> Item:
    return {"rev": number(record.rev), "record": text(records.encode(record))}


def _indexed(pk: str, sk: str) -> Item:
    return {"gsi1pk": text(pk), "gsi1sk": text(_fit(sk, _SK_LIMIT))}


def _joined(*names: str) -> str:
    return _BETWEEN.join(name.translate(_ESCAPES) for name in names)


def _fit(name: str, limit: int) -> str:
    """The name itself, or its beginning and a digest: still distinct, sorted as well as can be."""
    data = name.encode()
    if len(data) <= limit:
        return name
    digest = sha256(data).hexdigest()
    return data[: limit - len(digest) - 1].decode(errors="ignore") + "~" + digest
