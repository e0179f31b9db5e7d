"""What only a file can do: be damaged, be another's, be full, be held, be fast."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace

from shared.adapters.sqlite_file import SCHEMA_VERSION, SqliteFile
from shared.adapters.sqlite_store import SqliteStore
from shared.domain.batch import BatchStatus
from shared.domain.document import DocumentStatus
from shared.domain.ids import BatchId
from shared.ports.store import StoreUnavailable, StoreUnusable
from tests.adapters.test_store_contract import JOB, NOW, batch, document, members


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    one = SqliteStore(path)
    yield one
    one.close()


def change(path: Path, *statements: str) -> None:
    """Write into the file behind the store's back."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_state_outlives_the_store(path: Path) -> None:
    first = SqliteStore(path)
    first.swap_documents([document()])
    first.close()
    second = SqliteStore(path)
    assert second.documents(JOB, ["a.txt"]).keys() == {"a.txt"}
    second.close()


@pytest.mark.parametrize("log", [False, True], ids=["closed", "left by a process"])
def test_reading_only_leaves_no_trace_and_sees_everything(path: Path, log: bool) -> None:
    path = path.with_name("odd name?#%20.db")
    first = SqliteStore(path)
    first.swap_documents([document()])
    if not log:
        first.close()
    before = {each.name: each.stat().st_size for each in path.parent.iterdir()}
    assert len(before) == (3 if log else 1)
    with closing(SqliteStore(path, read_only=True)) as reading:
        assert reading.documents(JOB, ["a.txt"]).keys() == {"a.txt"}
        with pytest.raises(StoreUnavailable, match="may not be written"):
            reading.swap_documents([document("b.txt")])
        assert {each.name: each.stat().st_size for each in path.parent.iterdir()} == before
    if log:
        first.close()


def test_state_in_memory_needs_no_file() -> None:
    store = SqliteStore(":memory:")
    assert store.swap_documents([document()]) == set()
    assert store.count(JOB) == {"": {DocumentStatus.WAITING: 1}}
    store.close()


def test_a_file_of_a_newer_docmill_is_left_alone(path: Path) -> None:
    SqliteStore(path).close()
    change(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="written by a newer docmill; upgrade") as raised:
        SqliteStore(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="belongs to another program"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to look at " * 100)
    with pytest.raises(StoreUnusable, match=r"state\.db is damaged or not docmill's.*restore it"):
        SqliteStore(path)


def test_an_empty_file_becomes_the_state(path: Path) -> None:
    path.touch()
    store = SqliteStore(path)
    assert store.swap_documents([document()]) == set()
    store.close()


def test_damage_inside_the_file_is_named_when_it_is_met(path: Path) -> None:
    store = SqliteStore(path)
    store.swap_documents([document(f"{place:05d}") for place in range(2000)])
    store.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    with (
        pytest.raises(StoreUnusable, match=r"state\.db is damaged"),
        closing(SqliteStore(path)) as damaged,
    ):
        list(damaged.all_documents(JOB))


def test_a_record_that_can_not_be_read_is_damage(store: SqliteStore, path: Path) -> None:
    store.swap_documents([document()])
    store.plan(batch(), members(1))
    change(path, "UPDATE documents SET record = '{}'", "UPDATE members SET data = x'00'")
    with pytest.raises(StoreUnusable, match="a record can't be read"):
        store.documents(JOB, ["a.txt"])
    with pytest.raises(StoreUnusable, match="a record can't be read"):
        store.members(BatchId("b"))


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is its folder there"):
        SqliteStore(tmp_path / "none" / "state.db")


def test_a_full_disk_is_unavailable_and_changes_nothing(path: Path) -> None:
    store = SqliteStore(path)
    store.swap_documents([document("first")])
    [(pages,)] = store._file.rows("PRAGMA page_count")
    store._file.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        store.swap_documents([document(f"{place:04d}") for place in range(1000)])
    assert [each.path for each in store.all_documents(JOB)] == ["first"]
    store._file.rows("PRAGMA max_page_count = 1000000")
    assert store.swap_documents([document("second")]) == set()
    store.close()


def test_a_file_held_for_too_long_is_unavailable(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store._file.rows("PRAGMA busy_timeout = 20")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process is writing"):
        store.swap_documents([document()])
    assert store.count(JOB) == {}
    holder.execute("ROLLBACK")
    holder.close()
    assert store.swap_documents([document()]) == set()


def test_reading_goes_on_while_another_process_writes(path: Path, store: SqliteStore) -> None:
    store.swap_documents([document()])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("DELETE FROM documents")
    assert store.count(JOB) == {"": {DocumentStatus.WAITING: 1}}
    holder.close()


def test_stores_that_open_a_new_file_at_once_all_get_the_state(tmp_path: Path) -> None:
    for round_ in range(15):
        path = tmp_path / f"{round_}.db"
        start = Barrier(8)

        def run(place: int, path: Path = path, start: Barrier = start) -> set[str]:
            start.wait()
            with closing(SqliteStore(path)) as one:
                return one.swap_documents([document(f"{place}.txt")])

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(run, range(8))) == [set()] * 8
        with closing(SqliteStore(path)) as store:
            assert len(list(store.all_documents(JOB))) == 8
            assert store._file.rows("PRAGMA journal_mode") == [("wal",)]


def test_the_intent_is_on_the_disk_before_a_swapped_batch_returns(store: SqliteStore) -> None:
    full, normal = 2, 1
    planned = store.plan(batch(), [])
    intended = store.swap_batch(replace(planned, status=BatchStatus.SUBMITTING))
    assert store._file.rows("PRAGMA synchronous") == [(full,)]
    store.swap_documents([document()])
    assert store._file.rows("PRAGMA synchronous") == [(normal,)]
    taken = store.swap_batch(replace(intended, status=BatchStatus.IN_PROGRESS))
    assert store._file.rows("PRAGMA synchronous") == [(full,)]
    store.swap_batch(taken, durable=False)
    assert store._file.rows("PRAGMA synchronous") == [(normal,)]
    assert store._file.rows("PRAGMA journal_mode") == [("wal",)]


def test_what_is_asked_often_is_found_by_an_index_that_history_does_not_fill(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    plain = SqliteFile.rows

    def listening(self: SqliteFile, sql: str, values: tuple[object, ...] = ()) -> list[object]:
        asked.append((sql, values))
        return plain(self, sql, values)

    store = SqliteStore(path)
    monkeypatch.setattr(SqliteFile, "rows", listening)
    list(store.waiting(JOB, ""))
    list(store.failed(JOB))
    store.due(BatchStatus.PLANNED, now=NOW, limit=1)
    list(store.stale_jobs())
    list(store.batches(JOB))
    monkeypatch.undo()
    plans = [store._file.rows(f"EXPLAIN QUERY PLAN {sql}", values) for sql, values in asked]
    store.close()
    expected = (
        "documents_waiting",
        "documents_failed",
        "batches_due",
        "jobs_stale",
        "batches_by_job",
    )
    for index, [step] in zip(expected, plans, strict=True):
        assert f"INDEX {index}" in step[3]


def test_ten_thousand_swaps_in_one_call_are_all_made(store: SqliteStore) -> None:
    documents = [document(f"department/2026/file-{place:06d}.txt") for place in range(10_000)]
    assert store.swap_documents(documents) == set()
    read = list(store.all_documents(JOB))
    for status in (DocumentStatus.IN_BATCH, DocumentStatus.REPORTED):
        lost = store.swap_documents([replace(each, status=status) for each in read])
        assert lost == set()
        read = list(store.all_documents(JOB))
    assert store.count(JOB) == {"": {DocumentStatus.REPORTED: 10_000}}


def test_the_list_of_a_full_batch_comes_back_as_it_was(store: SqliteStore) -> None:
    listed = members(100_000)
    store.plan(batch(), listed)
    assert store.members(BatchId("b")) == listed


def test_a_file_of_a_docmill_that_did_not_note_requests_is_used_on(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE asked")
    connection.commit()
    connection.close()
    store = SqliteStore(path)
    assert list(store.asked(JOB, 1)) == []
    store.close()
