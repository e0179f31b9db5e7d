"""Requests that were asked before in the job, in another batch: they are answered already, or will
be, and aren't paid for again.

What is to be copied is the report of the document that was sent. Removed or changed by somebody, it
is no answer any more, and the request is sent as any.
"""

import json
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from shared.app.deps import Deps
from shared.app.report_places import report_key
from shared.domain.asked import OF_SMALL_BATCHES, block_of, digests_in, kept_of, place_in
from shared.domain.batch import Batch, BatchStatus, Member
from shared.domain.bitmap import Bitmap
from shared.domain.catalog import Usage
from shared.domain.document import Document
from shared.domain.ids import BatchId, CustomId, JobName, ProviderId, place_of
from shared.domain.outcome import Report
from shared.domain.record import Record
from shared.domain.report import header_and_text, text_digest
from shared.ports.blobs import BlobError, BlobStoreUnavailable


class Pending(Enum):
    """The request is under way in another batch: whoever has the same waits for its answer."""

    PENDING = "pending"


PENDING = Pending.PENDING


class Answer(Record, frozen=True, kw_only=True):
    """An answer there is, in the report of the document that it was given to."""

    path: str
    report: Report
    custom_id: CustomId
    provider_id: ProviderId
    continued: int


class _Header(msgspec.Struct):
    document: str
    model: str
    custom_id: CustomId
    batch: ProviderId
    stop_reason: str
    truncated: bool
    parts: int = 0
    continued: int = 0
    not_continued: str = ""
    text_digest: str = ""


class Known:
    """What was read of the blocks, for one round of submitting: ten thousand groups may be planned
    in one, and share it. What others plan meanwhile isn't in it."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[JobName, int], list[tuple[BatchId, bytes]]] = {}
        self._small: dict[JobName, set[bytes]] = {}

    def blocks(self, deps: Deps, job: JobName, asked: bytes) -> list[tuple[BatchId, bytes]]:
        """The blocks that may have a request."""
        found = self._read(deps, job, block_of(asked))
        small = self._read(deps, job, OF_SMALL_BATCHES)
        return [*found, *small] if kept_of(asked) in self._small[job] else found

    def add(self, batch: Batch, blocks: Mapping[int, bytes]) -> None:
        """What a batch of this round asks."""
        for number, block in blocks.items():
            if (batch.job, number) in self._blocks:
                self._blocks[batch.job, number].append((batch.id, block))
                if number == OF_SMALL_BATCHES:
                    self._small[batch.job].update(digests_in(block))

    def _read(self, deps: Deps, job: JobName, number: int) -> list[tuple[BatchId, bytes]]:
        if (job, number) not in self._blocks:
            found = list(deps.store.asked(job, number))
            self._blocks[job, number] = found
            if number == OF_SMALL_BATCHES:
                self._small[job] = {each for _, block in found for each in digests_in(block)}
        return self._blocks[job, number]


class Earlier:
    """What the job asked before, looked up while one batch is planned. Raises
    BlobStoreUnavailable."""

    def __init__(
        self, deps: Deps, job: JobName, fingerprint: str, known: "Known | None" = None
    ) -> None:
        self._deps = deps
        self._job = job
        self._fingerprint = fingerprint
        self._known = known or Known()
        self._batches: dict[BatchId, Batch | None] = {}
        self._lists: dict[BatchId, list[Member]] = {}

    def of(self, asked: bytes, document: Document, digest: str) -> Answer | Pending | None:
        """The answer to this request of a document whose content has this digest, or that it is
        coming; None where it has to be sent."""
        answer: Answer | None = None
        for batch_id, block in self._blocks_with(asked):
            place = place_in(block, asked)
            if place is None:
                continue
            found = self._found(batch_id, place, document, digest)
            if isinstance(found, Pending):
                return found
            answer = answer or found
        return answer

    def asks(self, batch_id: BatchId, place: int, asked: bytes) -> bool:
        """Whether this is the request that a batch was planned with at that place."""
        blocks = dict(self._blocks_with(asked))
        return batch_id in blocks and place_in(blocks[batch_id], asked) == place

    def _blocks_with(self, asked: bytes) -> list[tuple[BatchId, bytes]]:
        return self._known.blocks(self._deps, self._job, asked)

    def again(self, name: CustomId, document: Document, digest: str) -> Answer | None:
        """The answer that was found for a document when its batch was planned, if it is there."""
        named = place_of(name)
        found = named and self._found(named[1], named[0], document, digest)
        return found if isinstance(found, Answer) else None

    def _found(
        self, batch_id: BatchId, place: int, document: Document, digest: str
    ) -> Answer | Pending | None:
        batch = self._batch(batch_id)
        members = self._members(batch_id) if batch is not None else []
        if batch is None or place >= len(members) or members[place].path == document.path:
            return None
        if place in Bitmap(batch.excluded):
            return None
        if batch.status is BatchStatus.PLANNED:
            return PENDING
        member = members[place]
        leader = self._deps.store.documents(self._job, [member.path]).get(member.path)
        if leader is None:
            return None
        if leader.batch == batch_id or leader.unfinished is not None:
            return PENDING
        return self._read(member, leader, digest)

    def _read(self, member: Member, leader: Document, digest: str) -> Answer | None:
        key = report_key(self._deps, leader)
        try:
            data = self._deps.reports.read(key)
        except BlobStoreUnavailable:
            raise
        except BlobError:
            return None
        answer = _answer(leader.path, data)
        if answer is None:
            return None
        if answer.custom_id == member.custom_id:
            return answer
        last = place_of(answer.custom_id)
        ended = self._batch(last[1]) if last else None
        went_on = answer.continued and leader.reported_digest == digest
        return answer if went_on and ended and ended.fingerprint == self._fingerprint else None

    def _batch(self, batch_id: BatchId) -> Batch | None:
        if batch_id not in self._batches:
            self._batches[batch_id] = self._deps.store.batch(batch_id)
        return self._batches[batch_id]

    def _members(self, batch_id: BatchId) -> list[Member]:
        if batch_id not in self._lists:
            self._lists.clear()  # one at a time: a list may have 100,000 members
            self._lists[batch_id] = self._deps.store.members(batch_id)
        return self._lists[batch_id]


def _answer(path: str, data: bytes) -> Answer | None:
    """What a report holds; None where it isn't one of docmill's, as it wrote it."""
    header, text = header_and_text(data)
    try:
        said = msgspec.convert(dict(_fields(header.decode().splitlines()[1:])), _Header)
        body = text.decode()
    except (ValueError, IndexError):
        return None
    if said.document != path or said.text_digest != text_digest(text):
        return None
    if said.parts or said.not_continued:  # it answers no request that another could send
        return None
    return Answer(
        path=path,
        report=Report(
            text=body,
            model=said.model,
            stop_reason=said.stop_reason,
            truncated=said.truncated,
            usage=Usage(),
        ),
        custom_id=said.custom_id,
        provider_id=said.batch,
        continued=said.continued,
    )


def _fields(lines: Iterable[str]) -> Iterable[tuple[str, object]]:
    for line in lines:
        name, _, value = line.partition(": ")
        yield name, json.loads(value)
