"""SQLite files of the event log: list, read and write them, and explain their errors.

Each file has one writer at a time. SQLite before 3.51.3 can damage a file in WAL mode that two connections write or
checkpoint at the same moment (sqlite.org/wal.html, "The WAL-reset bug"), and Python ships with older versions. So a
writer takes the first unlocked file, by a lock that the kernel drops with the process, and is its only writing
connection. Readers open read-only. The write-ahead log of a dead writer is moved into its file under the same lock,
before it can be damaged. There are as many files as there were concurrent writers, not as there were processes.

The rows that a file must hold are recorded beside it (`tallies`). A file that has lost rows is left unchanged for its
owner: readers refuse it, and writers take another one.
"""

import fcntl
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback import tallies
from recsys_core.feedback.log import SCHEMA_VERSION
from recsys_core.feedback.records import TABLES, LogTable
from recsys_core.feedback.tallies import Tallies
from recsys_core.lake.files import make_folder_durably, sync

APPLICATION_ID = 0x72656373
"""Marks our files in their header ("recs")."""

MAX_WRITERS = 256
WAIT_S = 30.0
"""Seconds that a reader waits for a lock: recovery after a crash holds one briefly."""

_TYPES = {pl.String(): "TEXT", pl.Int64(): "INTEGER", pl.Float64(): "REAL", pl.Float32(): "REAL", pl.Binary(): "BLOB"}

_ADVICE = {
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy, or recover its rows by `sqlite3 FILE .recover`",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite file: move it out of the folder of the log",
    sqlite3.SQLITE_FULL: "the disk is full, and nothing of the batch was stored: free some space and append it again",
    sqlite3.SQLITE_IOERR: "the disk fails or is full, and rows that were not acknowledged are not stored: check the "
    "disk, then append them again",
    sqlite3.SQLITE_READONLY: "it cannot be written: check the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the permissions of the file and its folder; readers also "
    "need permission to write in the folder",
    sqlite3.SQLITE_PERM: "it cannot be opened: check its permissions",
    sqlite3.SQLITE_BUSY: "another process holds it locked: end the program that has it open",
}

_QUARANTINE = """
CREATE TABLE quarantine (
  line_id BLOB PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, "column" TEXT NOT NULL, reason TEXT NOT NULL,
  value TEXT NOT NULL, raw BLOB NOT NULL, set_aside_at INTEGER NOT NULL
);
CREATE TABLE replayed (line_id BLOB PRIMARY KEY, replayed_at INTEGER NOT NULL);
"""

_NOTES = """
CREATE TABLE IF NOT EXISTS notes (
  kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, noted_at INTEGER NOT NULL, digest BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS notes_by_kind ON notes (kind, key, value, noted_at);
"""
"""Added later than the other tables: the next writer adds it to an older file, and older programs ignore it."""


def log_files(folder: Path) -> list[Path]:
    """The files of the log, by name; none if the folder is missing."""
    return sorted(path for path in folder.glob("*.sqlite") if path.is_file())


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or of the system into a LogError that names the file and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the upper bytes extend it
        advice = _ADVICE.get(code, "check the file with `recsys log verify`")
        raise LogError(f"{path}: {error}; {advice}") from error
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}: check the disk and the permissions of the folder") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """A snapshot of a file, and the tallies that it must satisfy."""

    path: Path
    connection: sqlite3.Connection
    tallies: Tallies


def readers(folder: Path) -> Iterator[Reader]:
    """A read transaction on every file of a log; each sees whole batches, as its writer committed them.

    Raises:
        LogError: a file cannot be read, is damaged, or holds fewer rows than were acknowledged.
    """
    for path in sorted({*log_files(folder), *tallies.tallied_files(folder)}):
        _fold_in(path)
        acknowledged = tallies.read(path)
        connection = open_reader(path) if path.exists() else None
        try:
            for fault in tallies.shortfalls(path, connection, acknowledged):
                raise LogError(fault)
        except BaseException:
            if connection:
                connection.close()
            raise
        if connection:
            yield Reader(path=path, connection=connection, tallies=acknowledged)


def open_reader(path: Path) -> sqlite3.Connection | None:
    """A read-only connection inside a read transaction; None for a file whose writer died before making the tables.

    Raises:
        LogError: the file is damaged, is not ours, or is of a newer version.
    """
    with explained(path):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN")
            if _is_ours(connection, path):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None


def accept_loss(folder: Path) -> list[str]:
    """Accept the present rows of all files as complete; returns a sentence for each loss.

    Raises:
        LogError: a writer has such a file open.
    """
    accepted = []
    for path in sorted({*log_files(folder), *tallies.tallied_files(folder)}):
        faults = list(losses(path))
        if not faults:
            continue
        descriptor = _locked(path, make=True)
        if descriptor is None:
            raise LogError(f"{path} is being written: end the program that has it open, and try again")
        try:
            _recount(path)
        finally:
            os.close(descriptor)
        accepted += faults
    return accepted


def losses(path: Path) -> list[str]:
    """A sentence for each difference between a file and its acknowledged rows."""
    try:
        acknowledged = tallies.read(path)
    except LogError as error:
        return [str(error)]
    connection = open_reader(path) if path.exists() else None
    if connection is None:
        return list(tallies.shortfalls(path, None, acknowledged))
    with closing(connection), explained(path):
        short = list(tallies.shortfalls(path, connection, acknowledged))
        return short or list(tallies.alterations(path, connection, acknowledged))


class Writer:
    """The only writing connection of a file: the first of a folder that has no other writer and has lost no rows."""

    def __init__(self, folder: Path) -> None:
        """Lock a file, and create it and its tables where they are missing.

        Raises:
            LogError: the folder cannot be written, the file is damaged, or of a newer version.
        """
        with explained(folder):
            make_folder_durably(folder)
            self.path, self._lock = _first_free(folder)
        self._process = os.getpid()
        self._tally = -1  # the descriptor of the file beside it
        self._tallies: Tallies = {}
        with explained(self.path):
            self.connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction around the block; its rows are on the disk when the block has ended.

        Raises:
            LogError: it could not be stored.
        """
        if self._process != os.getpid():
            # A copy of the connection in a child would write to the same file as its parent.
            raise LogError(f"{self.path} was opened before this process was forked: open the log in the child itself")
        with explained(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
                self._note_rows()
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Release the file; its write-ahead log is emptied, unless a reader has it open."""
        if self._process == os.getpid():
            with suppress(sqlite3.Error):  # acknowledged rows are already on the disk
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()
        if self._tally >= 0:
            os.close(self._tally)
        os.close(self._lock)

    def _note_rows(self) -> None:
        """Add the stored rows to the tally; if that fails, the tally lags, and the next writer adds them."""
        with suppress(OSError):
            self._tallies = tallies.grown(self._tallies, self.connection)
            os.pwrite(self._tally, tallies.written(self._tallies), 0)

    def _prepare(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")  # a commit returns when the WAL is on the disk
        if not _is_ours(self.connection, self.path):
            statements = [*(_ddl(table) for table in TABLES.values()), _QUARANTINE]
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            self.connection.executescript(f"BEGIN IMMEDIATE;{''.join(statements)}{marks}COMMIT;")
            sync(self.path.parent)
        self.connection.executescript(_NOTES)
        self._tallies = tallies.read(self.path)
        self._tally = os.open(tallies.path_of(self.path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._note_rows()


def _first_free(folder: Path) -> tuple[Path, int]:
    """A file without another writer that has lost no rows, and the descriptor of its lock."""
    for number in range(MAX_WRITERS):
        path = folder / f"writer-{number:03}.sqlite"
        descriptor = _locked(path, make=True)
        if descriptor is None:
            continue
        try:
            if not _is_short(path):
                return path, descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise LogError(f"{folder} already has {MAX_WRITERS} writers: end some, or keep the log in PostgreSQL")


def _locked(path: Path, *, make: bool) -> int | None:
    """The descriptor of a file's lock; None where a writer holds it, or where it does not exist and `make` is False."""
    # Beside the file, never on it: closing any descriptor of a database drops the locks that SQLite has on it.
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0)
    try:
        descriptor = os.open(path.with_suffix(".lock"), flags, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_short(path: Path) -> bool:
    """Whether a file holds fewer rows than were acknowledged; reads it without changing it."""
    acknowledged = tallies.read(path)
    connection = open_reader(path) if path.exists() and path.stat().st_size else None
    if connection is None:
        return any(tallies.shortfalls(path, None, acknowledged))
    with closing(connection), explained(path):
        return any(tallies.shortfalls(path, connection, acknowledged))


def _fold_in(path: Path) -> None:
    """Move the write-ahead log of a dead writer into its file, if there is one and the file has lost no rows."""
    with suppress(OSError, sqlite3.Error, LogError):  # without write permission the log is read as it is
        if not path.with_name(f"{path.name}-wal").stat().st_size:
            return
        descriptor = _locked(path, make=False)
        if descriptor is None:
            return
        try:
            if not _is_short(path):
                with closing(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)) as connection:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            os.close(descriptor)


def _recount(path: Path) -> None:
    """Replace a file's tally by one of its present rows; delete the tally of a missing file."""
    tally, connection = tallies.path_of(path), open_reader(path) if path.exists() else None
    if os.path.lexists(tally) and not stat.S_ISREG(tally.lstat().st_mode):
        tally.rename(Path(tempfile.mkdtemp(prefix="damaged-", dir=tally.parent), tally.name))
    if connection is None:
        tally.unlink(missing_ok=True)
        return
    with closing(connection), explained(path):
        tally.write_bytes(tallies.written(tallies.grown({}, connection)))


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has our tables; False while it is empty.

    Raises:
        LogError: it is the database of another program, or of another version.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not n_tables:
        return False
    if application != APPLICATION_ID:
        raise LogError(f"{path} is the database of another program: move it out of the folder of the log")
    if version != SCHEMA_VERSION:
        raise LogError(
            f"{path} has version {version} of the event log, this program knows {SCHEMA_VERSION}: use the program that "
            "wrote it, or a newer one"
        )
    return True


def _ddl(table: LogTable) -> str:
    columns = ", ".join(f'"{name}" {_TYPES[dtype]}' for name, dtype in table.columns.items())
    key = ", ".join(table.key)
    # The index covers the columns that deduplication reads, so that a plan over the whole log never reads the rows.
    # Columns that are stored twice can be compared, by which an integrity check finds damage.
    return (
        f"CREATE TABLE {table.name} ({columns}, digest BLOB NOT NULL);"
        f"CREATE UNIQUE INDEX {table.name}_by_key ON {table.name} ({key}, {table.arrival}, digest);"
        f"CREATE INDEX {table.name}_by_arrival ON {table.name} ({table.arrival});"
    )
