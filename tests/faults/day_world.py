"""The places of a day in fast motion: documents that are made when they are read, a bucket that
only counts, a table and a provider that fail now and then."""

import hashlib
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.core import Simulator
from shared.adapters.simulator.rows import Ending, result_line
from shared.adapters.simulator_api import SimulatorApi
from shared.domain.ids import ProviderId
from shared.ports.batch_api import ApiError, Body, ProviderBatch
from shared.ports.blobs import Blob, BlobError, BlobStoreUnavailable, Unlisted, stat_each
from shared.ports.store import Store, StoreUnavailable

if TYPE_CHECKING:
    from array import array

RATE = 0.02
THROTTLED, LOST = "table: throttled", "table: answer lost"
READ_FAILS, WRITE_FAILS = "bucket: read fails", "bucket: write fails, some of it done"
_CALLS = {THROTTLED: 15, LOST: 15, READ_FAILS: 1, WRITE_FAILS: 1}
"""About as many as a run makes."""

_EPOCH = datetime(2026, 11, 24, tzinfo=UTC)
_UNPAID = frozenset({Ending.ERRORED, Ending.EXPIRED, Ending.CANCELED})
_NUMBER = re.compile(r"doc-(\d{7})")
_PER_TOKEN = (Decimal(5) / 2 / 1_000_000, Decimal(25) / 2 / 1_000_000)
"""Of claude-opus-4-6 in batches, in and out; from the fact sheet, section 7."""


@dataclass(slots=True, kw_only=True)
class Trouble:
    """Draws what fails, and counts it.

    Table and bucket fail once in a share of the functions' runs, at any of their calls: the
    clients try again by themselves, so what comes through is rare per call.
    """

    draw: random.Random
    rate: float = RATE
    calm: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    _fails_in: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """A run begins: decide at which call what fails in it."""
        self._fails_in.clear()
        for name, calls in _CALLS.items():
            if not self.calm and self.draw.random() < self.rate:
                self._fails_in[name] = self.draw.randint(1, calls)

    def comes(self, name: str) -> bool:
        """Whether this call is the one that fails in this run."""
        left = self._fails_in.get(name, 0)
        self._fails_in[name] = left - 1
        self.counts[name] += left == 1
        return left == 1

    def strikes(self, name: str) -> bool:
        """Whether this goes wrong now."""
        struck = not self.calm and self.draw.random() < self.rate
        if struck:
            self.counts[name] += 1
        return struck


def path_of(number: int, groups: int) -> str:
    """Where a document lies below its job."""
    return f"group {number % groups:02}/doc-{number:07}.txt"


def number_of(path: str) -> int:
    """Which document a path or a custom_id names."""
    found = _NUMBER.search(path)
    if found is None:
        raise AssertionError(f"{path} names no document")
    return int(found[1])


@dataclass(slots=True, kw_only=True)
class MadeDocuments:
    """Documents of some 1,200 bytes; nothing is kept of them."""

    trouble: Trouble

    def shown(self, key: str) -> str:
        return key

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Blob | Unlisted]:
        raise AssertionError("uploads come one by one")

    def obstacle(self, key: str, *, ours: bytes = b"") -> str | None:
        return None

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        return stat_each(self, keys)

    def exists(self, key: str) -> bool:
        return True

    def stat(self, key: str) -> Blob:
        data = self._made(key)
        etag = hashlib.blake2b(data, digest_size=8).hexdigest()
        return Blob(key=key, size=len(data), etag=etag, modified=_EPOCH)

    def read(self, key: str) -> bytes:
        self._fail()
        return self._made(key)

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        self._fail()
        for key in keys:
            yield self._made(key)

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        yield self.read(key)[offset:]

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        raise AssertionError("nothing is written into the input")

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        raise AssertionError("nothing is written into the input")

    def delete(self, key: str) -> None:
        raise AssertionError("nothing is deleted in the input")

    def _made(self, key: str) -> bytes:
        return f"# {key}\n\n".encode() + b"What stands in it doesn't matter here.\n" * 30

    def _fail(self) -> None:
        if self.trouble.comes(READ_FAILS):
            raise BlobStoreUnavailable("simulated: the bucket doesn't answer")


@dataclass(slots=True, kw_only=True)
class CountedReports(MadeDocuments):
    """How often each document's report was written, and the last of what was published."""

    written: "array[int]"
    published: dict[str, bytes] = field(default_factory=dict)

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        lost = self.trouble.comes(WRITE_FAILS)
        for key, data in items:
            if key.endswith(".md"):
                self.written[number_of(key)] += 1
            else:
                self.published[key] = data
            if lost:
                raise BlobStoreUnavailable("simulated: the bucket doesn't answer")

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        self.published[key] = b"".join(pieces)


class Throttled:
    """A store whose calls fail now and then, before their effect or after it."""

    def __init__(self, inner: Store, trouble: Trouble) -> None:
        self.inner = inner
        self.trouble = trouble

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)

        def throttled(*args: Any, **kwargs: Any) -> Any:
            if self.trouble.comes(THROTTLED):
                raise StoreUnavailable("simulated: the table is throttled")
            answer = call(*args, **kwargs)
            if self.trouble.comes(LOST):
                raise StoreUnavailable("simulated: the table's answer is lost")
            return answer

        return throttled


class _Usage(msgspec.Struct):
    input_tokens: int
    output_tokens: int


class _Message(msgspec.Struct):
    usage: _Usage


class _Result(msgspec.Struct):
    message: _Message | None = None


class _Line(msgspec.Struct):
    result: _Result


_read_line = msgspec.json.Decoder(_Line).decode


@dataclass(slots=True, kw_only=True)
class Books:
    """What the provider took and what it costs, document by document: kept as numbers, so that
    its memory is not what is measured."""

    simulator: Simulator
    taken: "array[int]"
    paid: "array[int]"
    requests: int = 0
    cost: Decimal = Decimal(0)

    def close(self, batch: SimulatedBatch, now: datetime) -> None:
        """Enter a batch of which nobody will ask any more, and forget its rows."""
        for row in batch.rows:
            ending, number = batch.ending(row), number_of(row.custom_id)
            self.requests += 1
            self.taken[number] += 1
            if ending in _UNPAID:
                continue
            self.paid[number] += 1
            line = result_line(row, ending, seed=self.simulator.seed, output_bytes=0)
            message = _read_line(line).result.message
            if message is not None:
                usage = message.usage
                self.cost += usage.input_tokens * _PER_TOKEN[0]
                self.cost += usage.output_tokens * _PER_TOKEN[1]
        batch.let_go(now)


@dataclass(slots=True, kw_only=True)
class CountedApi:
    """The simulator's core; `looks` are those at each batch, and how many of them failed."""

    inner: SimulatorApi
    looks: Counter[ProviderId] = field(default_factory=Counter)
    failed_looks: Counter[ProviderId] = field(default_factory=Counter)
    reads: Counter[ProviderId] = field(default_factory=Counter)
    listings: int = 0

    async def ready(self) -> None:
        await self.inner.ready()

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        return await self.inner.create(body, betas=betas)

    async def retrieve(self, provider_id: ProviderId) -> ProviderBatch:
        self.looks[provider_id] += 1
        try:
            return await self.inner.retrieve(provider_id)
        except ApiError:
            self.failed_looks[provider_id] += 1
            raise

    async def cancel(self, provider_id: ProviderId) -> ProviderBatch:
        return await self.inner.cancel(provider_id)

    async def created_since(self, since: datetime) -> AsyncGenerator[ProviderBatch, None]:
        self.listings += 1
        async for batch in self.inner.created_since(since):
            yield batch

    async def results(self, provider_id: ProviderId) -> AsyncGenerator[list[bytes], None]:
        self.reads[provider_id] += 1
        async for lines in self.inner.results(provider_id):
            yield lines
