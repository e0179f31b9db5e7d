"""The places of a load in virtual time: each call lets the time pass that it takes on AWS, and
waits where a quota is used up. What calls take is assumed, in infra/prices.toml; CPU was measured.

Of `weight` each document stands for so many: all that is done for one takes so often as long, and
counts so often against each quota.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.adapters.simulator_api import SimulatorApi
from shared.domain.document import Document
from shared.domain.ids import JobName
from shared.ports.batch_api import Body, ProviderBatch
from shared.ports.blobs import Blob, BlobError
from shared.ports.store import Store, StoreUnavailable
from tests.cost.bill import THREADS, assumed, slowdown
from tests.faults.day_world import CountedReports, MadeDocuments

_KEYS_PER_READ = 100
_GIVES_UP_S = 10.0
"""botocore's five attempts at a call that is throttled, about."""

_UPLINK = 50_000_000
"""Bytes per second of a function, about, to the provider and back."""


_NEVER = datetime.max.replace(tzinfo=UTC)


class TimedOut(BaseException):  # not an Exception: nothing in the engine may catch it
    """The function was ended by Lambda."""


@dataclass(slots=True)
class Clock:
    """The time of the function that runs now; `ends` is when Lambda ends it."""

    now: datetime
    weight: int
    ends: datetime = _NEVER
    function: str = ""

    def pass_ms(self, ms: float) -> None:
        """Let time pass. Raises TimedOut where it is more than is left."""
        self.now += timedelta(milliseconds=ms)
        if self.now >= self.ends:
            self.now = self.ends
            raise TimedOut(self.function)

    def compute(self, documents: float) -> None:
        """Let the time pass that the function's CPU takes for documents, at its share of a core."""
        ms = assumed()["cpu_ms"][self.function] * slowdown(self.function)
        self.pass_ms(documents * self.weight * ms)


@dataclass(slots=True)
class Quota:
    """So many units a second. Who asks for more gets them in the seconds that follow.

    Kept by the second, as functions that overlap are carried out one after the other.
    """

    rate: int
    used: Counter[int] = field(default_factory=Counter)
    waited_s: float = 0.0

    def take(self, units: float, now: float) -> float:
        """When the last of the units can be had."""
        second, left = int(now), units
        while True:
            free = self.rate - self.used[second]
            if free >= left:
                self.used[second] += int(left) or 1
                return now if second == int(now) else second + left / self.rate
            self.used[second] = self.rate
            left -= free
            second += 1

    @property
    def peak(self) -> int:
        """The most of a second."""
        return max(self.used.values(), default=0)


@dataclass(slots=True, kw_only=True)
class Table:
    """A store whose calls take their time; one partition per job, and one per index of it."""

    inner: Store
    clock: Clock
    table: Quota
    partition_rate: int
    partitions: dict[str, Quota] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: int = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)

        def taken(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            self.clock.pass_ms(assumed()["dynamodb_ms"])
            if name in {"swap_job", "swap_group"}:
                self._write("jobs and groups", 2, 1)
            return call(*args, **kwargs)

        return taken

    def documents(self, job: JobName, paths: Iterable[str]) -> dict[str, Document]:
        """A BatchGetItem per hundred, several at once."""
        wanted = list(paths)
        self.calls["documents"] += 1
        parts = -(-len(wanted) * self.clock.weight // _KEYS_PER_READ)
        self.clock.pass_ms(assumed()["dynamodb_ms"] * -(-parts // THREADS))
        return self.inner.documents(job, wanted)

    def swap_documents(self, documents: Sequence[Document]) -> set[str]:
        """A PutItem each, several at once; one unit in the table and one in the index."""
        self.calls["swap_documents"] += len(documents)
        if documents:
            self.clock.compute(len(documents) * (0.5 if self.clock.function == "Submit" else 1))
            self._write(f"documents of {documents[0].job}", len(documents) * self.clock.weight, 2)
        return self.inner.swap_documents(documents)

    def waiting(self, job: JobName, group: str) -> Iterator[Document]:
        """Pages of a megabyte, 1,000 documents or so."""
        pages = 0
        for number, document in enumerate(self.inner.waiting(job, group)):
            if number * self.clock.weight >= pages * 1000:
                pages += 1
                self.calls["waiting"] += 1
                self.clock.pass_ms(10 * assumed()["dynamodb_ms"])
            yield document

    def _write(self, partition: str, items: int, units: int) -> None:
        """Each is a unit in its partition; all of them are units of the table."""
        now = self.clock.now.timestamp()
        own = self.partitions.setdefault(partition, Quota(self.partition_rate))
        took_s = items * assumed()["dynamodb_ms"] / 1000 / THREADS
        last = max(own.take(items, now), self.table.take(items * units, now))
        late = max(last - now - took_s, 0.0)
        own.waited_s += late
        if late * min(THREADS, items) / items > _GIVES_UP_S:
            self.throttled += 1
            self.clock.pass_ms(_GIVES_UP_S * 1000)
            raise StoreUnavailable("the table is throttled")
        self.clock.pass_ms((took_s + late) * 1000)


@dataclass(slots=True, kw_only=True)
class Bucket(MadeDocuments):
    """Documents that are made when they are read, after a wait."""

    clock: Clock

    def stat(self, key: str) -> Blob:
        self.clock.pass_ms(assumed()["s3_read_ms"] * self.clock.weight)
        return MadeDocuments.stat(self, key)

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        self.clock.pass_ms(assumed()["s3_read_ms"] * self.clock.weight * len(keys) / THREADS)
        return [MadeDocuments.stat(self, key) for key in keys]

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        for data in MadeDocuments.read_many(self, keys, etags=etags):
            self.clock.pass_ms(assumed()["s3_read_ms"] * self.clock.weight / THREADS)
            self.clock.compute(0.5)  # the other half is for claiming it
            yield data


@dataclass(slots=True, kw_only=True)
class Output(CountedReports):
    """Reports that are counted, after a wait."""

    clock: Clock

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        held = list(items)
        self.clock.pass_ms(assumed()["s3_write_ms"] * self.clock.weight * len(held) / THREADS)
        CountedReports.write_many(self, held)


@dataclass(slots=True, kw_only=True)
class Provider:
    """The simulator's core, behind a line of so many bytes a second; a refusal costs a moment."""

    inner: SimulatorApi
    clock: Clock
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def create(self, body: Body, *, betas: Sequence[str]) -> ProviderBatch:
        self.calls["create"] += 1
        self.clock.pass_ms(1000 * (1 + body.length * self.clock.weight / _UPLINK))
        return await self.inner.create(body, betas=betas)

    async def retrieve(self, provider_id: Any) -> ProviderBatch:
        self.calls["retrieve"] += 1
        self.clock.pass_ms(assumed()["other_ms"])
        return await self.inner.retrieve(provider_id)
