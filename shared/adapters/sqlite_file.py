"""How the SQLite file is opened, written and read; its errors become the store's, here only."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.adapters.records import UnreadableError
from shared.ports.store import StoreUnavailable, StoreUnusable

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x646F636D
"""`docm`: tells our files from other programs' (PRAGMA application_id)."""

_BUSY_TIMEOUT_S = 10.0
"""Longest wait for another process's write; ours take well below a second."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_SAYS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process is writing to it for too long",
    sqlite3.SQLITE_LOCKED: "another process is writing to it for too long",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened: is its folder there, and may it be written?",
    sqlite3.SQLITE_PERM: "permission is denied",
    sqlite3.SQLITE_AUTH: "permission is denied",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
}

_SCHEMA = """
CREATE TABLE documents (
  job TEXT NOT NULL, path TEXT NOT NULL, grp TEXT NOT NULL, status TEXT NOT NULL,
  place TEXT NOT NULL, size INTEGER NOT NULL, rev INTEGER NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (job, path)
) WITHOUT ROWID;
CREATE INDEX documents_waiting ON documents (job, grp, place, path, size)
  WHERE status = 'waiting';
CREATE INDEX documents_counted ON documents (job, grp, status);
CREATE INDEX documents_failed ON documents (job, path) WHERE status = 'failed';
CREATE TABLE groups (
  job TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (job, name)
) WITHOUT ROWID;
CREATE TABLE batches (
  id TEXT PRIMARY KEY, job TEXT NOT NULL, status TEXT NOT NULL, planned_at TEXT NOT NULL,
  due_at TEXT, provider_id TEXT, rev INTEGER NOT NULL, record TEXT NOT NULL
);
CREATE INDEX batches_due ON batches (status, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX batches_by_job ON batches (job, planned_at, id);
CREATE INDEX batches_by_provider ON batches (provider_id) WHERE provider_id IS NOT NULL;
CREATE TABLE members (
  batch TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (batch, number)
);
CREATE TABLE checkpoints (batch TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE jobs (
  name TEXT PRIMARY KEY, stale INTEGER NOT NULL, rev INTEGER NOT NULL, record TEXT NOT NULL
);
CREATE INDEX jobs_stale ON jobs (name) WHERE stale;
CREATE TABLE pause (
  id INTEGER PRIMARY KEY CHECK (id = 1), rev INTEGER NOT NULL, record TEXT NOT NULL
);
"""

_ADDED = """
CREATE TABLE IF NOT EXISTS asked (
  job TEXT NOT NULL, block INTEGER NOT NULL, batch TEXT NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (job, block, batch)
) WITHOUT ROWID
"""
"""What files of an older docmill don't have yet."""

Write = Callable[[tuple[str, str], int, Sequence[object]], bool]
"""Statements from `upsert`, the revision expected and the row: whether it was written."""


def upsert(table: str, keys: Sequence[str], columns: Sequence[str]) -> tuple[str, str]:
    """Statements that insert a row unless it is there, and update it if it has a revision.

    Both take the keys, then the columns, numbered from 1; the update takes the revision last.
    """
    names = (*keys, *columns)
    marks = {name: f"?{number}" for number, name in enumerate(names, 1)}
    insert = (
        f"INSERT INTO {table} ({', '.join(names)})"  # noqa: S608
        f" VALUES ({', '.join(marks.values())}) ON CONFLICT DO NOTHING"
    )
    update = (
        f"UPDATE {table} SET {', '.join(f'{name} = {marks[name]}' for name in columns)}"  # noqa: S608
        f" WHERE {' AND '.join(f'{name} = {marks[name]}' for name in keys)}"
        f" AND rev = ?{len(names) + 1}"
    )
    return insert, update


class SqliteFile:
    """One connection, used by the thread that opened it."""

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        self._path = path
        address = _to_read(Path(path)) if read_only else path
        with self.translating():
            self._connection = sqlite3.connect(
                address, timeout=_BUSY_TIMEOUT_S, isolation_level=None, uri=read_only
            )
            try:
                self._prepare(read_only=read_only)
            except BaseException:
                self._connection.close()
                raise

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows at once, so that no cursor stays open over a write."""
        with self.translating():
            return self._connection.execute(sql, values).fetchall()

    def run_many(self, sql: str, values: Sequence[Sequence[object]]) -> None:
        """Run a statement for each, in one transaction: the one under way, or its own."""
        if self._connection.in_transaction:
            self._connection.executemany(sql, values)
        else:
            with self.writing():
                self._connection.executemany(sql, values)

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Write]:
        """A transaction that excludes other writers; `durable`: on the disk when it is left.

        Any other is safe from a crash of the process and may be lost, as a whole, in a power cut.
        """
        with self.translating():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._write
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Errors of SQLite and of unreadable records, as the port's. Misuse of it escapes."""
        try:
            yield
        except UnreadableError as error:
            raise self._damaged(f"a record can't be read: {error}") from error
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _DAMAGED:
                raise self._damaged(str(error)) from error
            if code in _SAYS:
                raise StoreUnavailable(f"{self._path}: {_SAYS[code]} ({error})") from error
            raise

    def copy_from(self, path: Path) -> None:
        """Take everything over that the file at `path` holds now; that file stays as it is."""
        source = SqliteFile(path, read_only=True)
        try:
            with self.translating():
                source._connection.backup(self._connection)
        finally:
            source.close()

    def close(self) -> None:
        """Let go of the file."""
        with self.translating():
            self._connection.close()

    def _write(self, statements: tuple[str, str], rev: int, row: Sequence[object]) -> bool:
        insert, update = statements
        if rev:
            return self._connection.execute(update, (*row, rev)).rowcount == 1
        return self._connection.execute(insert, row).rowcount == 1

    def _prepare(self, *, read_only: bool) -> None:
        # In one transaction, or a file that another process is just making looks like a stranger's.
        self._connection.execute("BEGIN")
        try:
            is_current = self._is_current()
        finally:
            self._connection.execute("ROLLBACK")
        if read_only:
            return
        if not is_current:
            self._create()
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'asked'"):
            self.run_many(_ADDED, [()])
        [(mode,)] = self.rows("PRAGMA journal_mode")
        if mode != "wal":
            self._use_wal()

    def _use_wal(self) -> None:
        """Switch the file over, unless another process uses it just now: that one will have."""
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise

    def _is_current(self) -> bool:
        """Whether the schema is there. Raises StoreUnusable when another one is."""
        [(version,)] = self.rows("PRAGMA user_version")
        [(application,)] = self.rows("PRAGMA application_id")
        if application == _APPLICATION_ID:
            if version > SCHEMA_VERSION:
                raise StoreUnusable(
                    f"{self._path} was written by a newer docmill;"
                    " upgrade docmill, or use another --out"
                )
            return True
        if application or version or self.rows("SELECT 1 FROM sqlite_master LIMIT 1"):
            raise StoreUnusable(
                f"{self._path} belongs to another program; move it away, or use another --out"
            )
        return False

    def _create(self) -> None:
        with self.writing():
            if self._is_current():
                return
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _damaged(self, reason: str) -> StoreUnusable:
        return StoreUnusable(
            f"{self._path} is damaged or not docmill's ({reason}); restore it from a backup, or"
            " move it away and start anew, which pays again for what is under way"
        )


def _to_read(path: Path) -> str:
    """The address of a file in a folder that can't be written.

    SQLite can't make the files there that coordinate it with a writer. Without a log beside it
    the file is all there is, and nobody changes it: nothing to coordinate. With a log, the
    files of the process that left it are there, too.
    """
    is_whole = not Path(f"{path}-wal").exists()
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if is_whole else ''}"
