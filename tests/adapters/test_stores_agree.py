"""Both stores, side by side: whatever is done to them, in any order, they answer the same.

Revisions are each store's own, so what was read is kept in pairs and given back in pairs.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.sqlite_store import SqliteStore
from shared.domain.batch import LIVE, Batch, BatchStatus, Member
from shared.domain.document import Content, Document, DocumentStatus, Failure, RowPlace
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, CustomId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.pause import Pause, PauseReason
from shared.ports.store import StaleWrite, Store
from tests.adapters.conftest import second_dynamo_wanted
from tests.aws import dynamo_client, mocked_aws, table_from_template

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
JOBS = st.sampled_from([JobName("a"), JobName("a#b")])
PATHS = st.sampled_from(["x", "x/y", "x!", "ä", "z\x1f"])
GROUPS = st.sampled_from(["", "g/h"])
BATCHES = st.sampled_from([BatchId(name) for name in ("b1", "b2", "b3")])
PROVIDERS = st.sampled_from([None, ProviderId("p1"), ProviderId("p2")])
SECONDS = st.integers(0, 3)
WHICH = st.sampled_from(["first", "current", "stale"])
"""Under which revision to write: as never stored, as it is, or as it was before."""

Both = tuple[Any, Any]


@st.composite
def a_document(draw: st.DrawFn) -> tuple[Document, str]:
    """A document to be written, and under which revision."""
    path, offset = draw(PATHS), draw(st.sampled_from([None, 5, 40]))
    status = draw(st.sampled_from([DocumentStatus.WAITING, *DocumentStatus]))
    row = offset and RowPlace(manifest_etag="m", line=1, offset=offset, length=1)
    source, size = "rows" if row else path, draw(st.integers(0, 3))
    document = Document(
        job=JobName(""),
        path=path,
        group=draw(GROUPS),
        content=Content(source=source, etag="e", size=size, row=row or None),
        status=status,
        since=NOW,
        failure=Failure(type="x", message="y") if status is DocumentStatus.FAILED else None,
    )
    return document, draw(WHICH)


def path_of(written: tuple[Document, str]) -> str:
    return written[0].path


DOCUMENTS = a_document()
R = TypeVar("R")


class Stores(RuleBasedStateMachine):
    """`known` has what each store gave for a name, oldest first."""

    client: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        table = f"table-{uuid4().hex}"
        table_from_template(self.client, table)
        self.stores: tuple[Store, Store] = (
            SqliteStore(":memory:"),
            DynamoStore(self.client, table, threads=1),
        )
        self.known: dict[tuple[str, ...], list[Both]] = {}

    def teardown(self) -> None:
        for store in self.stores:
            store.close()

    def both(self, ask: Callable[[Store], R]) -> tuple[R, R]:
        first, second = (ask(store) for store in self.stores)
        return first, second

    def agree(self, ask: Callable[[Store], object]) -> None:
        first, second = self.both(lambda store: plain(ask(store)))
        assert first == second

    def revisions(self, name: tuple[str, ...], which: str) -> tuple[int, int]:
        history = self.known.get(name, [])
        if which == "first" or not history:
            return 0, 0
        before = history[-1] if which == "current" else history[0]
        return before[0].rev, before[1].rev

    def write(
        self, name: tuple[str, ...], which: str, record: Any, call: Callable[[Store, Any], Any]
    ) -> None:
        """Write under a revision; both take it, or both say that it is stale."""
        written: list[Any] = []
        for store, rev in zip(self.stores, self.revisions(name, which), strict=True):
            with suppress(StaleWrite):
                written.append(call(store, replace(record, rev=rev)))
        assert len(written) in (0, 2)
        if written:
            assert plain(written[0]) == plain(written[1])
            self.known.setdefault(name, []).append((written[0], written[1]))

    @rule(job=JOBS, written=st.lists(DOCUMENTS, min_size=1, max_size=4, unique_by=path_of))
    def swap_documents(self, job: JobName, written: list[tuple[Document, str]]) -> None:
        lost: list[set[str]] = []
        for number, store in enumerate(self.stores):
            documents = [
                replace(
                    document,
                    job=job,
                    rev=self.revisions(("document", job, document.path), which)[number],
                )
                for document, which in written
            ]
            lost.append(store.swap_documents(documents))
        assert lost[0] == lost[1]
        paths = [document.path for document, _ in written if document.path not in lost[0]]
        found = self.both(lambda store: store.documents(job, paths))
        for path in paths:
            pair = (found[0][path], found[1][path])
            self.known.setdefault(("document", job, path), []).append(pair)
        for group in ("", "g/h"):
            self.agree(lambda store, group=group: list(store.waiting(job, group)))  # type: ignore[misc]  # mypy doesn't infer a default

    @rule(job=JOBS, path=PATHS, which=WHICH)
    def delete_document(self, job: JobName, path: str, which: str) -> None:
        history = self.known.get(("document", job, path))
        if history:
            pair = history[-1] if which == "current" else history[0]
            for store, document in zip(self.stores, pair, strict=True):
                store.delete_documents([document])

    @rule(job=JOBS, group=GROUPS, enough=st.integers(1, 3))
    def look_at_documents(self, job: JobName, group: str, enough: int) -> None:
        self.agree(lambda store: list(store.waiting(job, group)))
        self.agree(lambda store: list(store.failed(job)))
        self.agree(lambda store: list(store.all_documents(job)))
        self.agree(lambda store: store.count(job))
        self.agree(lambda store: store.documents(job, ["x", "z\x1f", "never"]))
        least = Load(documents=enough, bytes=1 << 40)
        loads = self.both(lambda store: store.load(job, group, enough=least))
        reached = [load.documents >= enough for load in loads]
        assert reached[0] == reached[1]
        assert loads[0] == loads[1] or all(reached)

    @rule(job=JOBS, group=GROUPS, seconds=SECONDS, which=WHICH)
    def swap_group(self, job: JobName, group: str, seconds: int, which: str) -> None:
        touched = NOW + timedelta(seconds=seconds)
        record = Group(job=job, name=group, since=NOW, touched=touched)
        self.write(("group", job, group), which, record, lambda store, each: store.swap_group(each))

    @rule(job=JOBS, group=GROUPS, which=st.sampled_from(["current", "stale"]))
    def close_group(self, job: JobName, group: str, which: str) -> None:
        history = self.known.get(("group", job, group))
        if history:
            pair = history[-1] if which == "current" else history[0]
            self.alike(pair, lambda store, each: store.close_group(each))

    @rule(job=JOBS, group=GROUPS)
    def look_at_groups(self, job: JobName, group: str) -> None:
        self.agree(lambda store: list(store.groups()))
        self.agree(lambda store: list(store.groups(job)))
        self.agree(lambda store: store.group(job, group))

    @rule(job=JOBS, name=BATCHES, size=st.integers(0, 3), seconds=SECONDS)
    def plan(self, job: JobName, name: BatchId, size: int, seconds: int) -> None:
        if ("batch", name) in self.known:
            return  # an id is drawn once: what a table holds of a lost plan is nobody's
        members = [Member(path=f"p{n}", custom_id=CustomId(f"c{n}")) for n in range(size)]
        batch = a_batch(name, job=job, size=size, planned_at=NOW + timedelta(seconds=seconds))
        call = lambda store, each: store.plan(each, members)  # noqa: E731 - it is named by its use
        self.write(("batch", name), "first", batch, call)

    @precondition(lambda self: any(name[0] == "batch" for name in self.known))
    @rule(
        name=BATCHES,
        status=st.sampled_from(BatchStatus),
        provider=PROVIDERS,
        seconds=SECONDS,
        which=WHICH,
    )
    def swap_batch(
        self,
        name: BatchId,
        status: BatchStatus,
        provider: ProviderId | None,
        seconds: int,
        which: str,
    ) -> None:
        history = self.known.get(("batch", name))
        if history:
            due = NOW + timedelta(seconds=seconds)
            batch = replace(history[-1][0], status=status, provider_id=provider, next_at=due)
            self.write(("batch", name), which, batch, lambda store, each: store.swap_batch(each))

    @rule(job=JOBS, name=BATCHES, seconds=SECONDS, limit=st.integers(1, 3))
    def look_at_batches(self, job: JobName, name: BatchId, seconds: int, limit: int) -> None:
        now = NOW + timedelta(seconds=seconds)
        for status in sorted(LIVE):
            self.agree(lambda store, on=status: store.due(on, now=now, limit=limit))  # type: ignore[misc]  # mypy doesn't infer a default
        self.agree(lambda store: store.batch(name))
        self.agree(lambda store: store.members(name))
        self.agree(lambda store: list(store.batches(job)))
        self.agree(lambda store: store.known([ProviderId("p1"), ProviderId("p2")]))

    @rule(name=BATCHES, data=st.binary(max_size=4))
    def save_checkpoint(self, name: BatchId, data: bytes) -> None:
        for store in self.stores:
            store.save_checkpoint(name, data)
        self.agree(lambda store: store.checkpoint(name))

    @rule(name=JOBS, stale=st.booleans(), which=WHICH)
    def swap_job(self, name: JobName, stale: bool, which: str) -> None:
        record = Job(name=name, stale=stale, settings={"a": "b"})
        self.write(("job", name), which, record, lambda store, each: store.swap_job(each))
        self.agree(lambda store: store.job(name))
        self.agree(lambda store: list(store.stale_jobs()))

    @rule(seconds=SECONDS, which=WHICH)
    def swap_pause(self, seconds: int, which: str) -> None:
        until = NOW + timedelta(seconds=seconds)
        record = Pause(until=until, reason=PauseReason.RATE_LIMIT, message="later")
        self.write(("pause",), which, record, lambda store, each: store.swap_pause(each))
        self.agree(lambda store: store.pause())

    @rule(which=st.sampled_from(["current", "stale"]))
    def lift_pause(self, which: str) -> None:
        history = self.known.get(("pause",))
        if history:
            pair = history[-1] if which == "current" else history[0]
            self.alike(pair, lambda store, each: store.lift_pause(each))
            self.agree(lambda store: store.pause())

    def alike(self, pair: Both, call: Callable[[Store, Any], None]) -> None:
        """Both do it, or both say that it is stale."""
        done = 0
        for store, each in zip(self.stores, pair, strict=True):
            with suppress(StaleWrite):
                call(store, each)
                done += 1
        assert done in (0, 2)


def plain(found: object) -> object:
    """The same without revisions, whose first is a moment."""
    match found:
        case Document() | Group() | Batch() | Job() | Pause():
            return replace(found, rev=0)
        case list():
            return [plain(each) for each in found]
        case dict():
            return {key: plain(each) for key, each in found.items()}
        case _:
            return found


def a_batch(name: BatchId, *, job: JobName, size: int, planned_at: datetime) -> Batch:
    return Batch(
        id=name,
        job=job,
        group="",
        recipe="r",
        fingerprint="f",
        model="m",
        betas=(),
        status=BatchStatus.PLANNED,
        size=size,
        planned_at=planned_at,
        next_at=planned_at,
    )


@pytest.fixture(params=["dynamo", pytest.param("second dynamo", marks=second_dynamo_wanted)])
def table_client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of each DynamoDB."""
    with mocked_aws():
        url = None
        if request.param == "second dynamo":
            url = request.getfixturevalue("second_dynamo").url
        client = dynamo_client(threads=1, url=url)
        yield client
        client.close()


def test_two_stores_that_are_told_the_same_say_the_same(table_client: Any) -> None:
    Stores.client = table_client
    run_state_machine_as_test(
        Stores,
        settings=settings(
            max_examples=20,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
