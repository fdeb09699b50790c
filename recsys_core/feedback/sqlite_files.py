"""SQLite files of the event log: which there are, opened for reading or for writing, and errors in words.

One file per writer at a time. SQLite before 3.51.3 can damage a file in WAL mode that two connections write or
checkpoint at the same moment (sqlite.org/wal.html, "The WAL-reset bug"), and Python comes with older ones. So a writer
takes the first file that nobody holds, by a lock that the kernel drops with the process, and is its only writing
connection; readers open read-only and never checkpoint. There are as many files as there were writers at once, not as
there were processes.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback.log import SCHEMA_VERSION
from recsys_core.feedback.records import TABLES, LogTable
from recsys_core.lake.files import make_folder_durably, sync

APPLICATION_ID = 0x72656373
"""Stands in the header of every file of ours ("recs")."""

MAX_WRITERS = 256
WAIT_S = 30.0
"""How long a reader waits for a lock: recovery after a crash holds one for a moment."""

_TYPES = {pl.String(): "TEXT", pl.Int64(): "INTEGER", pl.Float64(): "REAL", pl.Float32(): "REAL", pl.Binary(): "BLOB"}

_ADVICE = {
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy, or save what `sqlite3 FILE .recover` finds",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file: move it out of the folder of the log",
    sqlite3.SQLITE_FULL: "the disk is full, and nothing of the batch was stored: free some space and append it again",
    sqlite3.SQLITE_IOERR: "the disk fails or is full; what was not acknowledged is not stored: check the disk, then "
    "append it again",
    sqlite3.SQLITE_READONLY: "it may not be written: check the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the permissions of the file and its folder, which readers, "
    "too, must be allowed to write into",
    sqlite3.SQLITE_PERM: "it may not be opened: check its permissions",
    sqlite3.SQLITE_BUSY: "another process holds it locked: end the program that has it open",
}

_QUARANTINE = """
CREATE TABLE quarantine (
  line_id BLOB PRIMARY KEY, source TEXT NOT NULL, line INTEGER NOT NULL, "column" TEXT NOT NULL, reason TEXT NOT NULL,
  value TEXT NOT NULL, raw BLOB NOT NULL, set_aside_at INTEGER NOT NULL
);
CREATE TABLE replayed (line_id BLOB PRIMARY KEY, replayed_at INTEGER NOT NULL);
"""


def log_files(folder: Path) -> list[Path]:
    """The files of the log, by name; none if the folder is missing."""
    return sorted(path for path in folder.glob("*.sqlite") if path.is_file())


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or of the system into a LogError that names the file and says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest its variety
        advice = _ADVICE.get(code, "check the file with `recsys log verify`")
        raise LogError(f"{path}: {error}; {advice}") from error
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}: check the disk and the permissions of the folder") from error


def open_reader(path: Path) -> sqlite3.Connection | None:
    """A read-only connection inside a read transaction; None for a file whose writer died before it made the tables.

    Raises:
        LogError: the file is damaged, not ours, or of a newer version.
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


class Writer:
    """The one writing connection of the first file of a folder that nobody else holds."""

    def __init__(self, folder: Path) -> None:
        """Take a file, and make it and its tables where they are missing.

        Raises:
            LogError: the folder cannot be written, the file is damaged, or of a newer version.
        """
        with explained(folder):
            make_folder_durably(folder)
            self.path, self._lock = _first_free(folder)
        self._process = os.getpid()
        with explained(self.path):
            self.connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; on the disk when the block has ended.

        Raises:
            LogError: it could not be stored.
        """
        if self._process != os.getpid():
            # A copy of the connection in a child would write the same file beside its parent's.
            raise LogError(f"{self.path} was opened before this process was forked: open the log in the child itself")
        with explained(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Give the file back."""
        self.connection.close()
        os.close(self._lock)

    def _prepare(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")  # a commit returns when the WAL is on the disk
        if not _is_ours(self.connection, self.path):
            statements = [*(_ddl(table) for table in TABLES.values()), _QUARANTINE]
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
            self.connection.executescript(f"BEGIN IMMEDIATE;{''.join(statements)}{marks}COMMIT;")
            sync(self.path.parent)


def _first_free(folder: Path) -> tuple[Path, int]:
    """A file that no other writer holds, and the descriptor whose lock says so."""
    for number in range(MAX_WRITERS):
        # Beside the file, never on it: closing any descriptor of a database drops the locks that SQLite has on it.
        descriptor = os.open(folder / f"writer-{number:03}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return folder / f"writer-{number:03}.sqlite", descriptor
    raise LogError(f"{folder} has {MAX_WRITERS} writers already: end some, or keep the log in PostgreSQL")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are there; False for a file that is still empty."""
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
    # The index holds all that deduplication reads, so that a plan over the whole log never touches the rows; and what
    # stands twice can be compared, by which an integrity check finds damage.
    return (
        f"CREATE TABLE {table.name} ({columns}, digest BLOB NOT NULL);"
        f"CREATE UNIQUE INDEX {table.name}_by_key ON {table.name} ({key}, {table.arrival}, digest);"
        f"CREATE INDEX {table.name}_by_arrival ON {table.name} ({table.arrival});"
    )
