"""What every store does; each test runs over a new file and over new tables."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
from msgspec.structs import replace

from shared.adapters.dynamo_store import DynamoStore
from shared.adapters.sqlite_store import SqliteStore
from shared.domain.batch import TERMINAL, Batch, BatchStatus, Counts, Member
from shared.domain.catalog import Usage
from shared.domain.document import Content, Document, DocumentStatus, Failure, RowPlace, Sighting
from shared.domain.group import Group, Load
from shared.domain.ids import BatchId, CustomId, JobName, ProviderId
from shared.domain.job import Job
from shared.domain.parts import Part, part_path
from shared.domain.pause import Pause, PauseReason
from shared.domain.totals import Totals
from shared.ports.store import StaleWrite, Store
from tests.adapters.conftest import second_dynamo_wanted
from tests.aws import dynamo_client, mocked_aws, table_from_template

NOW = datetime(2026, 11, 24, 9, 30, 0, 123456, tzinfo=UTC)
JOB = JobName("invoices")
ODD = [
    "a",
    "a#b",
    "a/b",
    "a b",
    "a!",
    "a%23b",
    "a'\"\\`b",
    "a\x00b",
    "a\x1fb",
    "ä",
    "a\u0308",
    "日本語/文書",
    "💶",
    "x" * 1020,
    "ü" * 510,
]
"""Names that a key, a query or an escape could get wrong."""

Open = Callable[[], Store]


@pytest.fixture(scope="module")
def moto() -> Iterator[None]:
    with mocked_aws():
        yield


@pytest.fixture(
    params=["sqlite", "dynamo", pytest.param("second dynamo", marks=second_dynamo_wanted)]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path, moto: None) -> Iterator[Open]:
    """Opens one more store over the same state."""
    in_table = request.param != "sqlite"
    with ExitStack() as stack:
        if in_table:
            url = None
            if request.param == "second dynamo":
                url = request.getfixturevalue("second_dynamo").url
            client = dynamo_client(url=url)
            stack.callback(client.close)
            table = f"table-{uuid4().hex}"
            table_from_template(client, table)

        def new() -> Store:
            if in_table:
                return DynamoStore(client, table, threads=4)
            return SqliteStore(tmp_path / "state.db")

        yield new


@pytest.fixture
def store(opened: Open) -> Iterator[Store]:
    one = opened()
    yield one
    one.close()


def document(path: str = "a.txt", **changes: object) -> Document:
    plain = Document(
        job=JOB,
        path=path,
        group="",
        content=Content(source=path, etag="v1", size=10),
        status=DocumentStatus.WAITING,
        since=NOW,
    )
    return replace(plain, **changes)


def batch(name: str = "b", **changes: object) -> Batch:
    plain = Batch(
        id=BatchId(name),
        job=JOB,
        group="",
        recipe="summarize",
        fingerprint="f",
        model="claude",
        betas=("one", "two"),
        status=BatchStatus.PLANNED,
        size=0,
        planned_at=NOW,
        next_at=NOW,
    )
    return replace(plain, **changes)


def stored(store: Store, *documents: Document) -> list[Document]:
    """The documents as they are once written."""
    assert store.swap_documents(documents) == set()
    return [store.documents(each.job, [each.path])[each.path] for each in documents]


def paths(documents: Iterator[Document]) -> list[str]:
    return [each.path for each in documents]


def members(count: int) -> list[Member]:
    return [
        Member(
            path=f"department/2026-11/file-{place:06d}.txt",
            custom_id=CustomId(f"file-{place:06d}-{place:05d}-abcdefghijkm"),
        )
        for place in range(count)
    ]


def racing(opened: Open, count: int, claim: Callable[[Store], bool]) -> int:
    """How many of as many stores, each in its thread, win what all claim at once."""
    start = Barrier(count)

    def run(_: int) -> bool:
        one = opened()
        try:
            start.wait()
            return claim(one)
        finally:
            one.close()

    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(run, range(count)))


# ---- documents ----


def test_a_document_comes_back_as_it_was_written(store: Store) -> None:
    full = document(
        content=Content(
            source="rows.csv",
            etag="v2",
            size=7,
            row=RowPlace(manifest_etag="m", line=3, offset=2**40, length=7),
        ),
        newer=Sighting(
            path="rows.csv:7",
            group="b",
            content=Content(source="rows.csv", etag="v3", size=8),
            failure=Failure(type="invalid_row", message="…"),
            manifest="rows.csv",
        ),
        batch=BatchId("abc"),
        attempts=2,
        claimed_digest="c",
        reported_digest="r",
        failure=Failure(type="t", message="line\nline ü\x00", retryable=True, attempts=2),
    )
    [after] = stored(store, full)
    assert after == replace(full, rev=after.rev)
    assert after.rev > 0


def test_only_known_documents_of_the_job_are_found(store: Store) -> None:
    stored(store, document("a"), document("b"))
    stored(store, document("c", job=JobName("other")))
    assert store.documents(JOB, ["b", "c", "d"]).keys() == {"b"}
    assert store.documents(JOB, []) == {}


def test_more_documents_than_one_call_takes_are_found(store: Store) -> None:
    many = [document(f"{place:04d}") for place in range(620)]
    assert store.swap_documents(many) == set()
    found = store.documents(JOB, [each.path for each in many])
    assert sorted(found) == [each.path for each in many]


def test_each_swap_raises_the_revision(store: Store) -> None:
    [first] = stored(store, document())
    [second] = stored(store, replace(first, attempts=1))
    assert second.rev == first.rev + 1


def test_a_swap_at_an_old_revision_loses_and_changes_nothing(store: Store) -> None:
    [old, other] = stored(store, document("a"), document("b"))
    [new] = stored(store, replace(old, attempts=1))
    lost = store.swap_documents([replace(old, attempts=2), replace(other, attempts=2)])
    assert lost == {"a"}
    found = store.documents(JOB, ["a", "b"])
    assert found["a"] == new
    assert found["b"].attempts == 2


def test_a_new_document_loses_to_one_that_is_there(store: Store) -> None:
    [there] = stored(store, document())
    assert store.swap_documents([document()]) == {"a.txt"}
    assert store.documents(JOB, ["a.txt"]) == {"a.txt": there}


def test_a_deleted_document_is_not_brought_back_by_who_read_it(store: Store) -> None:
    [read] = stored(store, document())
    store.delete_documents([read])
    assert store.documents(JOB, ["a.txt"]) == {}
    assert store.swap_documents([read]) == {"a.txt"}
    [again] = stored(store, document())
    assert store.swap_documents([read]) == {"a.txt"}
    store.delete_documents([read])
    assert store.documents(JOB, ["a.txt"]) == {"a.txt": again}


def test_nothing_to_swap_or_delete_is_fine(store: Store) -> None:
    assert store.swap_documents([]) == set()
    store.delete_documents([])


def test_only_one_of_two_racing_claims_wins_each_document(opened: Open, store: Store) -> None:
    free = stored(store, *(document(f"{place:02d}") for place in range(30)))
    wins: list[set[str]] = []

    def claim(one: Store) -> bool:
        mine = BatchId(uuid4().hex)
        claims = [replace(each, status=DocumentStatus.IN_BATCH, batch=mine) for each in free]
        lost = one.swap_documents(claims)
        won = {each.path for each in free} - lost
        held = one.documents(JOB, [each.path for each in free])
        assert {path for path, each in held.items() if each.batch == mine} == won
        wins.append(won)
        return True

    assert racing(opened, 4, claim) == 4
    assert sorted(path for won in wins for path in won) == [each.path for each in free]


def test_odd_names_stay_apart(store: Store) -> None:
    for job in ODD:
        own = [
            document(path, job=JobName(job), group=group)
            for path, group in zip(ODD, ODD[::-1], strict=True)
        ]
        assert store.swap_documents(own) == set()
    for job in ODD:
        assert store.documents(JobName(job), ODD).keys() == set(ODD)
        assert sorted(paths(store.all_documents(JobName(job)))) == sorted(ODD)
        for path, group in zip(ODD, ODD[::-1], strict=True):
            assert paths(store.waiting(JobName(job), group)) == [path]


# ---- waiting, failed, all ----


def test_waiting_documents_come_in_packing_order(store: Store) -> None:
    def row(line: int, offset: int) -> Content:
        place = RowPlace(manifest_etag="m", line=line, offset=offset, length=1)
        return Content(source="m.csv", etag=str(line), size=1, row=place)

    stored(
        store,
        document("m/1", content=row(1, 99)),
        document("m/2", content=row(2, 100_000)),
        document("m/0", content=row(0, 5)),
        document("z"),
        document("B"),
        document("a b"),
        document("a"),
        document("ä"),
        document("2nd", content=Content(source="same", etag="", size=0)),
        document("1st", content=Content(source="same", etag="", size=0)),
    )
    expected = ["B", "a", "a b", "m/0", "m/1", "m/2", "1st", "2nd", "z", "ä"]
    assert paths(store.waiting(JOB, "")) == expected


def test_only_waiting_documents_of_the_group_wait(store: Store) -> None:
    [moved] = stored(store, document("moved", group="g"))
    stored(
        store,
        document("here", group="g"),
        document("else", group="h"),
        document("busy", group="g", status=DocumentStatus.IN_BATCH),
        document("there", group="g", job=JobName("other")),
    )
    stored(store, replace(moved, group="h"))
    assert paths(store.waiting(JOB, "g")) == ["here"]
    assert paths(store.waiting(JOB, "h")) == ["else", "moved"]


def test_documents_claimed_while_waiting_ones_are_read_upset_nothing(store: Store) -> None:
    stored(store, *(document(f"{place:04d}") for place in range(50)))
    read = []
    for each in store.waiting(JOB, ""):
        read.append(each.path)
        store.swap_documents([replace(each, status=DocumentStatus.IN_BATCH)])
    assert read == [f"{place:04d}" for place in range(50)]
    assert paths(store.waiting(JOB, "")) == []


def test_reading_goes_on_past_a_page(store: Store) -> None:
    long = Failure(type="t", message="x" * 100_000)
    many = [document(f"{place:04d}", group="g", failure=long) for place in range(24)]
    failures = [
        document(f"f{place:03d}", failure=long, status=DocumentStatus.FAILED) for place in range(12)
    ]
    stored(store, *many, *failures)
    assert paths(store.waiting(JOB, "g")) == [each.path for each in many]
    assert paths(store.failed(JOB)) == [each.path for each in failures]
    assert paths(store.all_documents(JOB)) == [each.path for each in (*many, *failures)]
    assert store.count(JOB) == {
        "g": {DocumentStatus.WAITING: 24},
        "": {DocumentStatus.FAILED: 12},
    }
    everything = store.load(JOB, "g", enough=Load(documents=1000, bytes=10**9))
    assert everything == Load(documents=24, bytes=240)


def test_reading_goes_on_past_many_rows(store: Store) -> None:
    many = [
        document(f"{place:05d}") for place in range(2500 if isinstance(store, SqliteStore) else 300)
    ]
    assert store.swap_documents(many) == set()
    assert paths(store.waiting(JOB, "")) == [each.path for each in many]
    assert paths(store.all_documents(JOB)) == [each.path for each in many]


def test_failed_documents_come_by_path(store: Store) -> None:
    stored(
        store,
        document("b", status=DocumentStatus.FAILED),
        document("a", status=DocumentStatus.FAILED),
        document("c"),
        document("d", status=DocumentStatus.FAILED, job=JobName("other")),
    )
    assert paths(store.failed(JOB)) == ["a", "b"]


def test_documents_are_counted_by_group_and_status(store: Store) -> None:
    assert store.count(JOB) == {}
    stored(
        store,
        document("a"),
        document("b"),
        document("c", status=DocumentStatus.REPORTED),
        document("d", group="2026-01"),
        document("e", job=JobName("other")),
    )
    assert store.count(JOB) == {
        "": {DocumentStatus.WAITING: 2, DocumentStatus.REPORTED: 1},
        "2026-01": {DocumentStatus.WAITING: 1},
    }


def test_a_load_says_at_least_whether_enough_waits(store: Store) -> None:
    stored(store, *(document(f"{place}", group="g") for place in range(9)))
    stored(store, document("busy", group="g", status=DocumentStatus.IN_BATCH))
    plenty = Load(documents=100, bytes=1000)
    assert store.load(JOB, "g", enough=plenty) == Load(documents=9, bytes=90)
    assert store.load(JOB, "none", enough=plenty) == Load(documents=0, bytes=0)
    assert store.load(JOB, "g", enough=Load(documents=4, bytes=1000)).documents >= 4
    assert store.load(JOB, "g", enough=Load(documents=100, bytes=20)).bytes >= 20


# ---- groups ----


def group(name: str = "g", **changes: object) -> Group:
    return replace(Group(job=JOB, name=name, since=NOW, touched=NOW), **changes)


def test_an_open_group_is_found_by_name_and_in_the_list(store: Store) -> None:
    after = store.swap_group(group(ready=True))
    assert after == group(ready=True, rev=after.rev)
    assert store.group(JOB, "g") == after
    assert list(store.groups()) == [after]
    assert store.group(JOB, "other") is None


def test_groups_come_by_job_and_name(store: Store) -> None:
    names = [
        (job, name) for job in ("a", "a!", "a#b", "b") for name in ("", "#", "2024", "2025/01", "ü")
    ]
    for job, name in reversed(names):
        store.swap_group(group(name, job=JobName(job)))
    assert [(each.job, each.name) for each in store.groups()] == names
    own = [(each.job, each.name) for each in store.groups(JobName("a"))]
    assert own == [(job, name) for job, name in names if job == "a"]


def test_a_group_touched_since_it_was_read_is_not_overwritten(store: Store) -> None:
    read = store.swap_group(group())
    touched = store.swap_group(replace(read, ready=True))
    with pytest.raises(StaleWrite):
        store.swap_group(read)
    with pytest.raises(StaleWrite):
        store.swap_group(group())
    assert store.group(JOB, "g") == touched


def test_a_group_touched_since_it_was_read_is_not_closed(store: Store) -> None:
    read = store.swap_group(group())
    touched = store.swap_group(replace(read, touched=NOW + timedelta(seconds=1)))
    with pytest.raises(StaleWrite):
        store.close_group(read)
    assert list(store.groups()) == [touched]


def test_a_closed_group_is_gone_and_closing_it_again_changes_nothing(store: Store) -> None:
    read = store.swap_group(group())
    store.close_group(read)
    assert store.group(JOB, "g") is None
    assert list(store.groups()) == []
    store.close_group(read)
    with pytest.raises(StaleWrite):
        store.swap_group(read)


def test_a_group_opened_again_is_not_closed_by_who_read_the_first(store: Store) -> None:
    read = store.swap_group(group())
    store.close_group(read)
    again = store.swap_group(group())
    with pytest.raises(StaleWrite):
        store.close_group(read)
    assert store.group(JOB, "g") == again


# ---- batches ----


def test_a_batch_comes_back_as_it_was_written(store: Store) -> None:
    full = batch(
        status=BatchStatus.ENDED,
        excluded=b"\x00\xff\x80",
        provider_id=ProviderId("msgbatch_1"),
        created_at=NOW,
        counts=Counts(succeeded=3, errored=1),
        totals=Totals(
            reported=3, usage=Usage(input_tokens=2**60), cost=Decimal("0.10000000000000000001")
        ),
        failure=Failure(type="t", message="m"),
        note="ü",
    )
    planned = store.plan(full, [])
    assert planned == replace(full, rev=planned.rev)
    assert store.batch(full.id) == planned
    assert store.batch(BatchId("other")) is None


@pytest.mark.parametrize("count", [0, 1, 20_000])
def test_the_list_of_a_batch_comes_back_by_place(store: Store, count: int) -> None:
    listed = members(count)
    store.plan(batch(size=count), listed)
    assert store.members(BatchId("b")) == listed
    assert store.members(BatchId("other")) == []


def test_a_list_that_hardly_compresses_is_saved(store: Store) -> None:
    listed = [
        Member(path="".join(uuid4().hex for _ in range(28)), custom_id=CustomId(uuid4().hex * 2))
        for _ in range(2000)
    ]
    store.plan(batch(), listed)
    assert store.members(BatchId("b")) == listed


def test_an_id_that_is_taken_keeps_its_batch_and_list(store: Store) -> None:
    first = store.plan(batch(), members(3))
    with pytest.raises(StaleWrite):
        store.plan(batch(model="other"), members(5))
    assert store.batch(first.id) == first
    assert store.members(first.id) == members(3)
    assert list(store.batches(JOB)) == [first]


def test_a_batch_written_since_it_was_read_is_not_overwritten(store: Store) -> None:
    read = store.plan(batch(), [])
    after = store.swap_batch(replace(read, status=BatchStatus.SUBMITTING))
    assert after.rev == read.rev + 1
    with pytest.raises(StaleWrite):
        store.swap_batch(replace(read, note="late"))
    assert store.batch(read.id) == after


def test_what_need_not_be_durable_is_written_and_compared_all_the_same(store: Store) -> None:
    read = store.plan(batch(), [])
    after = store.swap_batch(replace(read, note="looked"), durable=False)
    assert store.batch(read.id) == after
    with pytest.raises(StaleWrite):
        store.swap_batch(replace(read, note="late"), durable=False)


def test_only_one_of_many_racing_swaps_of_a_batch_wins(opened: Open, store: Store) -> None:
    read = store.plan(batch(), [])

    def take(one: Store) -> bool:
        try:
            one.swap_batch(replace(read, next_at=NOW + timedelta(minutes=15)))
        except StaleWrite:
            return False
        return True

    assert racing(opened, 8, take) == 1


def test_due_batches_are_those_whose_time_has_come_longest_due_first(store: Store) -> None:
    def at(name: str, seconds: float, **changes: object) -> None:
        store.plan(batch(name, next_at=NOW + timedelta(seconds=seconds), **changes), [])

    at("later", 0.000001)
    at("now", 0)
    at("before", -1)
    at("first", -3600)
    at("same", -1)
    at("sent", -5, status=BatchStatus.IN_PROGRESS)

    def due(limit: int) -> list[str]:
        return [each.id for each in store.due(BatchStatus.PLANNED, now=NOW, limit=limit)]

    assert due(10) == ["first", "before", "same", "now"]
    assert due(2) == ["first", "before"]
    assert due(0) == []


def test_a_batch_put_off_or_moved_on_is_not_due(store: Store) -> None:
    put_off, moved_on = (store.plan(batch(name), []) for name in ("one", "two"))
    store.swap_batch(replace(put_off, next_at=NOW + timedelta(minutes=15)))
    store.swap_batch(replace(moved_on, status=BatchStatus.SUBMITTING))
    assert store.due(BatchStatus.PLANNED, now=NOW, limit=10) == []
    assert [each.id for each in store.due(BatchStatus.SUBMITTING, now=NOW, limit=10)] == ["two"]


def test_moments_of_other_time_zones_are_due_in_their_order(store: Store) -> None:
    east = timezone(timedelta(hours=9))
    store.plan(batch("east", next_at=(NOW - timedelta(seconds=2)).astimezone(east)), [])
    store.plan(batch("utc", next_at=NOW - timedelta(seconds=1)), [])
    found = store.due(BatchStatus.PLANNED, now=NOW.astimezone(east), limit=10)
    assert [each.id for each in found] == ["east", "utc"]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_terminal_batch_is_never_due(store: Store, status: BatchStatus) -> None:
    store.plan(batch(status=status), [])
    assert store.due(status, now=NOW + timedelta(days=999), limit=10) == []


def test_the_history_of_a_job_is_by_time_planned_then_id(store: Store) -> None:
    for name, minutes in (("c", 2), ("b", 1), ("d", 1), ("a", 3)):
        store.plan(batch(name, planned_at=NOW + timedelta(minutes=minutes)), [])
    store.plan(batch("other", job=JobName("other")), [])
    read = store.batch(BatchId("b"))
    assert read is not None
    last = store.swap_batch(replace(read, status=BatchStatus.COLLECTED))
    history = list(store.batches(JOB))
    assert [each.id for each in history] == ["b", "d", "c", "a"]
    assert history[0] == last


def test_a_long_history_is_read_page_by_page(store: Store) -> None:
    names = [f"{place:04d}" for place in range(230)]
    for name in names:
        store.plan(batch(name), [])
    assert [each.id for each in store.batches(JOB)] == names


def test_provider_ids_that_a_record_knows_are_told(store: Store) -> None:
    one, two = ProviderId("msgbatch_1"), ProviderId("msgbatch_2")
    store.plan(batch("one", provider_id=one, status=BatchStatus.COLLECTED), [])
    read = store.plan(batch("two"), [])
    assert store.known({one, two}) == {one}
    store.swap_batch(replace(read, provider_id=two))
    assert store.known([one, two, ProviderId("msgbatch_3")]) == {one, two}
    assert store.known([]) == set()


def test_a_checkpoint_is_the_last_one_saved(store: Store) -> None:
    assert store.checkpoint(BatchId("b")) == b""
    for data in (b"\x00\x01", b"", bytes(range(256)) * 50):
        store.save_checkpoint(BatchId("b"), data)
        assert store.checkpoint(BatchId("b")) == data
    assert store.checkpoint(BatchId("other")) == b""


def test_what_batches_ask_is_found_by_job_and_block(store: Store) -> None:
    one, two = batch("one"), batch("two")
    other = replace(batch("else"), job=JobName("another"))
    assert list(store.asked(JOB, 7)) == []
    store.save_asked(one, {7: b"\x07one", 0: b"\x00" * 2_000, 255: b"\xff"})
    store.save_asked(two, {7: b"\x07two"})
    store.save_asked(other, {7: b"\x07else"})
    assert sorted(store.asked(JOB, 7)) == [("one", b"\x07one"), ("two", b"\x07two")]
    assert list(store.asked(JOB, 0)) == [("one", b"\x00" * 2_000)]
    assert list(store.asked(JOB, 8)) == []
    store.save_asked(one, {7: b"\x07again"})
    assert ("one", b"\x07again") in list(store.asked(JOB, 7))


# ---- jobs and the pause ----


def test_a_job_is_swapped_under_its_revision(store: Store) -> None:
    assert store.job(JOB) is None
    first = store.swap_job(
        Job(name=JOB, settings={"k": "ü"}, problem=Failure(type="t", message="m"))
    )
    assert store.job(JOB) == first
    second = store.swap_job(replace(first, stale=True))
    for old in (first, Job(name=JOB, settings={})):
        with pytest.raises(StaleWrite):
            store.swap_job(old)
    assert store.job(JOB) == second


def test_stale_jobs_are_listed_until_they_are_published(store: Store) -> None:
    first = store.swap_job(Job(name=JobName("a"), settings={}, stale=True))
    second = store.swap_job(Job(name=JobName("b"), settings={}, stale=True))
    store.swap_job(Job(name=JobName("c"), settings={}))
    assert list(store.stale_jobs()) == [first, second]
    store.swap_job(replace(first, stale=False))
    assert list(store.stale_jobs()) == [second]


def test_a_pause_lasts_until_it_is_lifted(store: Store) -> None:
    assert store.pause() is None
    first = store.swap_pause(Pause(until=NOW, reason=PauseReason.OVERLOADED, message="m"))
    assert store.pause() == first
    store.lift_pause(first)
    assert store.pause() is None
    store.lift_pause(first)


def test_a_pause_extended_since_it_was_read_is_not_lifted(store: Store) -> None:
    read = store.swap_pause(Pause(until=NOW, reason=PauseReason.RATE_LIMIT, message="m"))
    longer = store.swap_pause(replace(read, strikes=2))
    with pytest.raises(StaleWrite):
        store.lift_pause(read)
    with pytest.raises(StaleWrite):
        store.swap_pause(read)
    assert store.pause() == longer
    store.lift_pause(longer)
    again = store.swap_pause(Pause(until=NOW, reason=PauseReason.RATE_LIMIT, message="m"))
    with pytest.raises(StaleWrite):
        store.lift_pause(read)
    assert store.pause() == again


def test_what_one_store_writes_another_reads(opened: Open, store: Store) -> None:
    other = opened()
    [written] = stored(store, document())
    assert other.documents(JOB, ["a.txt"]) == {"a.txt": written}
    assert paths(other.waiting(JOB, "")) == ["a.txt"]
    other.close()


def test_parts_are_found_by_path_and_waiting_and_count_as_no_documents(store: Store) -> None:
    paths_of_parts = [part_path("a.txt", "0f", 0, number) for number in range(3)]
    of = Part(
        of="a.txt", splitting="0f", level=0, number=0, count=3, start=0, end=9, digest="d",
        whole_size=27,
    )  # fmt: skip
    whole = document(status=DocumentStatus.IN_PARTS)
    first, second, third = (document(path, part=of) for path in paths_of_parts)
    failed = Failure(type="refusal", message="no")
    second = replace(second, status=DocumentStatus.FAILED, failure=failed)
    third = replace(third, status=DocumentStatus.REPORTED)
    other = document("b.txt", status=DocumentStatus.FAILED, failure=failed)
    stored(store, whole, first, second, third, other)
    assert set(store.documents(JOB, paths_of_parts)) == set(paths_of_parts)
    assert paths(store.waiting(JOB, "")) == [paths_of_parts[0]]
    assert store.load(JOB, "", enough=Load(documents=9, bytes=999)).documents == 1
    assert paths(store.failed(JOB)) == ["b.txt"]
    assert paths(store.all_documents(JOB)) == ["a.txt", "b.txt"]
    assert store.count(JOB) == {"": {DocumentStatus.IN_PARTS: 1, DocumentStatus.FAILED: 1}}
