"""The event log in SQLite files: the default, which needs only a folder."""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback.log import (
    IMPORTED,
    BadLine,
    BaseLog,
    Note,
    Snapshot,
    digest_of_note,
    in_order,
    release_times,
    waiting_lines,
)
from recsys_core.feedback.records import (
    IMPRESSIONS_TABLE,
    REQUESTS_TABLE,
    TABLES,
    LogTable,
    Row,
    altered_rows,
    deliveries_frame,
    rows_frame,
)
from recsys_core.feedback.sqlite_files import (
    Reader,
    Writer,
    accept_loss,
    explained,
    log_files,
    losses,
    open_reader,
    readers,
)
from recsys_core.feedback.tallies import differs, tallied_files

ROWS_PER_READ = 10_000
"""Rows that `damage` holds in memory at once."""


_SET_ASIDE = (
    'INSERT INTO quarantine (line_id, source, line, "column", reason, value, raw, set_aside_at) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO"
)
_ANEW = (
    'UPDATE SET source = excluded.source, line = excluded.line, "column" = excluded."column", '
    "reason = excluded.reason, value = excluded.value, set_aside_at = excluded.set_aside_at"
)


class SqliteLog(BaseLog[sqlite3.Connection]):
    """An EventLog in the files of a folder; may be shared by threads, not carried over a fork."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)
        self._writer: Writer | None = None  # opened by the first append, so that reading creates no files
        self._one_at_a_time = threading.Lock()

    def read_day(self, table: LogTable, start: int) -> Snapshot:
        """The rows of all files that arrived on the day from the second `start` on.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        return self._snapshot(table, f"{table.arrival} >= ? AND {table.arrival} < ?", table.bounds(start))

    def read_user(self, table: LogTable, user_id: int, since: int) -> Snapshot:
        """The rows of one user in all files that arrived from the second `since` on.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        return self._snapshot(table, f"{table.arrival} >= ? AND user_id = ?", (since * table.ticks, user_id))

    def _snapshot(self, table: LogTable, where: str, values: tuple[int, int]) -> Snapshot:
        columns, key = ", ".join(f'"{name}"' for name in table.columns), ", ".join(table.key)
        wanted = f"SELECT {columns}, digest FROM {table.name} WHERE {where}"
        of_keys = (
            f"SELECT {key}, {table.arrival}, digest FROM {table.name} "
            f"WHERE {table.key[0]} IN (SELECT value FROM json_each(?))"
        )
        with self._reading() as files:
            found = [rows_frame(table, _all(one, wanted, values), str(one.path)) for one in files]
            rows = pl.concat([rows_frame(table, [], ""), *found])
            keys = json.dumps(rows[table.key[0]].unique().to_list())
            known = [row for one in files for row in _all(one, of_keys, (keys,))]
        return Snapshot(rows=rows, deliveries=deliveries_frame(table, known, self.place))

    def deliveries(self, table: LogTable) -> pl.DataFrame:
        """Key, arrival and digest of every row of all files, by one query a file.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        query = f"SELECT {', '.join(table.key)}, {table.arrival}, digest, rowid FROM {table.name}"
        frames = [deliveries_frame(table, [], self.place)]
        with self._reading() as files:
            for one in files:
                found = _all(one, query)
                frames.append(deliveries_frame(table, [row[:-1] for row in found], str(one.path)))
                _refuse_loss(one, table, found)
        return pl.concat(frames)

    def quarantine(self, lines: Sequence[BadLine]) -> None:
        """Store bad lines in this writer's file, each once; a released line is quarantined again, with its new place.

        Raises:
            LogError: they could not be stored.
        """
        released = self._last("replayed", "replayed_at")
        rows = []
        for one in lines:
            at = max(one.set_aside_at, released.get(one.line_id, 0))
            rows.append((one.line_id, one.source, one.line, one.column, one.reason, one.value, one.raw, at))
        with self._writing() as connection:
            connection.executemany(f"{_SET_ASIDE} NOTHING", [row for row in rows if row[0] not in released])
            connection.executemany(f"{_SET_ASIDE} {_ANEW}", [row for row in rows if row[0] in released])

    def quarantined(self) -> list[BadLine]:
        """The bad lines of all files that have not been released, each once, oldest first.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        query = 'SELECT line_id, source, line, "column", reason, value, raw, set_aside_at FROM quarantine'
        with self._reading() as files:
            rows = [row for one in files for row in _all(one, query)]
        return waiting_lines(rows, self._last("replayed", "replayed_at"))

    def release(self, line_ids: Collection[bytes], at: int) -> None:
        """Record in this writer's file that these lines are released, whichever file holds them.

        Raises:
            LogError: it could not be stored.
        """
        set_aside = self._last("quarantine", "set_aside_at")
        rows = list(release_times(line_ids, at, set_aside).items())
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO replayed VALUES (?, ?) ON CONFLICT DO UPDATE "
                "SET replayed_at = max(replayed_at, excluded.replayed_at)",
                rows,
            )

    def notes(self, kind: str) -> list[Note]:
        """The notes of a kind in all files, oldest first.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        with self._reading() as files:
            found = {note for one in files for note in _notes(one, kind)}
        return in_order(found)

    def imported_requests(self) -> set[str]:
        """The ids of requests that were imported, and that no writer logged as the service's own.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        with self._reading() as files:
            marked = {one.path: {(note.key, note.value) for note in _notes(one, IMPORTED)} for one in files}
            everywhere = set().union(*marked.values())
            keys = json.dumps(sorted({key for key, _ in everywhere}))
            own = {
                (key, digest.hex())
                for one in files
                for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE)
                for key, digest in _all(one, _DIGESTS.format(table.name), (keys,))
                if (key, digest.hex()) not in marked[one.path]
            }
        return {key for key, digest in everywhere if (key, digest) not in own}

    def _digests(self, connection: sqlite3.Connection, table: LogTable, firsts: Sequence[str]) -> Iterable[Row]:
        query = (
            f"SELECT {', '.join(table.key)}, digest FROM {table.name} "
            f"WHERE {table.key[0]} IN (SELECT value FROM json_each(?))"
        )
        return connection.execute(query, (json.dumps(firsts),))

    def _insert(self, connection: sqlite3.Connection, table: LogTable, rows: Sequence[Row]) -> None:
        places = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table.name} VALUES ({places}) ON CONFLICT DO NOTHING", rows)

    def _is_stored(self, connection: sqlite3.Connection, table: LogTable, mark: Note) -> bool:
        query = f"SELECT 1 FROM {table.name} WHERE request_id = ? AND digest = ?"
        return connection.execute(query, (mark.key, bytes.fromhex(mark.value))).fetchone() is not None

    def _keep(self, connection: sqlite3.Connection, notes: Sequence[Note]) -> None:
        rows = [(one.kind, one.key, one.value, one.noted_at, digest_of_note(one)) for one in notes]
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)

    def _last(self, table: str, column: str) -> dict[bytes, int]:
        """Line id -> the latest second of it in all files."""
        found: dict[bytes, int] = {}
        with self._reading() as files:
            for one in files:
                for line_id, second in _all(one, f"SELECT line_id, {column} FROM {table}"):
                    found[line_id] = max(second, found.get(line_id, second))
        return found

    def damage(self) -> list[str]:
        """Check the structure of every file, and every row against its digest; a sentence for each fault."""
        paths = sorted({*log_files(self.folder), *tallied_files(self.folder)})
        return [fault for path in paths for fault in _faults(path)]

    def accept_loss(self) -> list[str]:
        """Accept the loss of acknowledged rows of the files; a sentence for each loss.

        Raises:
            LogError: a file is being written, or cannot be read.
        """
        self.close()
        return accept_loss(self.folder)

    def close(self) -> None:
        """Release this writer's file; the next append opens one again."""
        with self._one_at_a_time:
            if self._writer:
                self._writer.close()
                self._writer = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._one_at_a_time:
            self._writer = self._writer or Writer(self.folder)
            with self._writer.transaction() as connection:
                yield connection

    @contextmanager
    def _reading(self) -> Iterator[list[Reader]]:
        """A read transaction on every file; each sees whole batches, as its writer committed them."""
        opened: list[Reader] = []
        try:
            for one in readers(self.folder):
                opened.append(one)
            yield opened
        finally:
            for one in opened:
                one.connection.close()


_DIGESTS = "SELECT request_id, digest FROM {} WHERE request_id IN (SELECT value FROM json_each(?))"


def _notes(one: Reader, kind: str) -> list[Note]:
    """The notes of a kind in one file; none in a file of an earlier version."""
    if not _all(one, "SELECT 1 FROM sqlite_master WHERE name = 'notes'"):
        return []
    rows = _all(one, "SELECT kind, key, value, noted_at, digest FROM notes WHERE kind = ?", (kind,))
    notes = [Note(kind=row[0], key=row[1], value=row[2], noted_at=row[3]) for row in rows]
    if any(digest_of_note(note) != row[-1] for note, row in zip(notes, rows, strict=True)):
        raise LogError(f"{one.path}: a note is not as it was written; the storage is damaged. Restore it from a copy")
    return notes


def _all(one: Reader, query: str, values: Sequence[object] = ()) -> list[Row]:
    with explained(one.path):
        return one.connection.execute(query, values).fetchall()


def _refuse_loss(one: Reader, table: LogTable, found: list[Row]) -> None:
    """Raise where the rows up to the tally differ from the acknowledged ones.

    Args:
        one: the file.
        table: the table that was read.
        found: every row, with arrival, digest and rowid last.
    """
    tally = one.tallies.get(table.name)
    if tally:
        for fault in differs(one.path, table.name, (row[-3:] for row in found if row[-1] <= tally.last), tally):
            raise LogError(fault)


def _faults(path: Path) -> list[str]:
    """The damage of one file; without any, its lost rows."""
    try:
        return [*_damage(path)] or losses(path)
    except LogError as error:
        return [str(error)]


def _damage(path: Path) -> Iterator[str]:
    """Faults in the structure of a file, and rows that differ from their digest."""
    connection = open_reader(path) if path.exists() else None
    if connection is None:
        return
    with closing(connection), explained(path):
        said = [one for (one,) in connection.execute("PRAGMA integrity_check(10)") if one != "ok"]
        yield from (f"{path}: {one}: restore it from a copy" for one in said)
        for table in TABLES.values():
            yield from _altered(path, connection, table)


def _altered(path: Path, connection: sqlite3.Connection, table: LogTable) -> Iterator[str]:
    """Rows that differ from their digest."""
    columns = ", ".join(f'"{name}"' for name in table.columns)
    cursor = connection.execute(f"SELECT {columns}, digest FROM {table.name}")
    while rows := cursor.fetchmany(ROWS_PER_READ):
        yield from altered_rows(table, rows, str(path))
