"""The event log in SQLite files: the default, which needs nothing but a folder."""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback.log import (
    Appended,
    BadLine,
    Counts,
    DaySnapshot,
    count,
    damaged_row,
    deliveries_frame,
    oldest_first,
    rows_frame,
)
from recsys_core.feedback.records import TABLES, Event, Impression, LogTable, Request, Row, digest_of, stored_rows
from recsys_core.feedback.sqlite_files import Writer, explained, log_files, open_reader

PIECE = 10_000
"""Rows that a check of everything holds in memory at once."""


class SqliteLog:
    """An EventLog in the files of a folder; may be shared by threads, not carried over a fork."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)
        self._writer: Writer | None = None  # taken with the first append, so that reading makes no files
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> "SqliteLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def append(
        self,
        *,
        requests: Sequence[Request] = (),
        impressions: Sequence[Impression] = (),
        events: Sequence[Event] = (),
    ) -> Appended:
        """Store one batch in one transaction, which is on the disk when this returns.

        Raises:
            LogError: a record is not fit to be logged, or it could not be stored; then nothing of the batch is.
        """
        rows = stored_rows(requests, impressions, events)
        with self._writing() as connection:
            return Appended(**{name: _insert(connection, TABLES[name], some) for name, some in rows.items()})

    def read_day(self, table: LogTable, start: int) -> DaySnapshot:
        """What arrived from the second `start` on, for a day, out of all files.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        columns, key = ", ".join(f'"{name}"' for name in table.columns), ", ".join(table.key)
        of_day = f"SELECT {columns}, digest FROM {table.name} WHERE {table.arrival} >= ? AND {table.arrival} < ?"
        of_keys = (
            f"SELECT {key}, {table.arrival}, digest FROM {table.name} "
            f"WHERE {table.key[0]} IN (SELECT value FROM json_each(?))"
        )
        with self._reading() as files:
            days = [
                rows_frame(table, _all(path, connection, of_day, table.bounds(start)), str(path))
                for path, connection in files.items()
            ]
            rows = pl.concat([rows_frame(table, [], ""), *days])
            keys = json.dumps(rows[table.key[0]].unique().to_list())
            known = [row for path, connection in files.items() for row in _all(path, connection, of_keys, (keys,))]
        return DaySnapshot(rows=rows, deliveries=deliveries_frame(table, known, self.place))

    def deliveries(self, table: LogTable) -> pl.DataFrame:
        """Key, arrival and digest of every row of all files, by one query a file.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        query = f"SELECT {', '.join(table.key)}, {table.arrival}, digest FROM {table.name}"
        with self._reading() as files:
            rows = [row for path, connection in files.items() for row in _all(path, connection, query)]
        return deliveries_frame(table, rows, self.place)

    def set_aside(self, lines: Sequence[BadLine]) -> int:
        """Keep bad lines; returns how many this writer's file did not hold before.

        Raises:
            LogError: they could not be stored.
        """
        with self._writing() as connection:
            before = connection.total_changes
            connection.executemany(
                'INSERT INTO quarantine (line_id, source, line, "column", reason, value, raw, set_aside_at) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    (one.line_id, one.source, one.line, one.column, one.reason, one.value, one.raw, one.set_aside_at)
                    for one in lines
                ],
            )
            return connection.total_changes - before

    def quarantined(self) -> list[BadLine]:
        """The bad lines of all files that were not replayed, each once, oldest first.

        Raises:
            LogError: a file is damaged or cannot be read.
        """
        query = 'SELECT line_id, source, line, "column", reason, value, raw, set_aside_at FROM quarantine'
        with self._reading() as files:
            rows = [row for path, connection in files.items() for row in _all(path, connection, query)]
            done = {row[0] for path, one in files.items() for row in _all(path, one, "SELECT line_id FROM replayed")}
        return oldest_first(rows, done)

    def mark_replayed(self, line_ids: Collection[bytes], at: int) -> None:
        """Note in this writer's file that these lines could be read after all, whichever file keeps them.

        Raises:
            LogError: it could not be stored.
        """
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO replayed VALUES (?, ?) ON CONFLICT DO NOTHING", [(one, at) for one in sorted(line_ids)]
            )

    def damage(self) -> list[str]:
        """Check the structure of every file, and every row against its digest; a sentence for each fault."""
        return [fault for path in log_files(self.folder) for fault in _faults(path)]

    def close(self) -> None:
        """Give this writer's file back; the next append takes one again."""
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
    def _reading(self) -> Iterator[dict[Path, sqlite3.Connection]]:
        """A read transaction on every file; each sees whole batches, as its writer committed them."""
        opened: dict[Path, sqlite3.Connection] = {}
        try:
            for path in log_files(self.folder):
                connection = open_reader(path)
                if connection:
                    opened[path] = connection
            yield opened
        finally:
            for connection in opened.values():
                connection.close()


def _insert(connection: sqlite3.Connection, table: LogTable, rows: list[Row]) -> Counts:
    if not rows:
        return Counts()
    at = [list(table.columns).index(name) for name in table.key]
    keys = [tuple(row[place] for place in at) for row in rows]
    query = (
        f"SELECT {', '.join(table.key)}, digest FROM {table.name} "
        f"WHERE {table.key[0]} IN (SELECT value FROM json_each(?))"
    )
    known: dict[Row, set[bytes]] = {}
    for *key, digest in connection.execute(query, (json.dumps([key[0] for key in keys]),)):
        known.setdefault(tuple(key), set()).add(digest)
    places = ", ".join("?" * len(rows[0]))
    connection.executemany(f"INSERT INTO {table.name} VALUES ({places}) ON CONFLICT DO NOTHING", rows)
    return count([(key, row[-1]) for key, row in zip(keys, rows, strict=True)], known)


def _all(path: Path, connection: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> list[Row]:
    with explained(path):
        return connection.execute(query, values).fetchall()


def _faults(path: Path) -> Iterator[str]:
    """What is wrong with one file."""
    try:
        connection = open_reader(path)
        if connection is None:
            return
        with closing(connection), explained(path):
            said = [one for (one,) in connection.execute("PRAGMA integrity_check(10)") if one != "ok"]
            yield from (f"{path}: {one}: restore it from a copy" for one in said)
            for table in TABLES.values():
                yield from _altered(path, connection, table)
    except LogError as error:
        yield str(error)


def _altered(path: Path, connection: sqlite3.Connection, table: LogTable) -> Iterator[str]:
    """Rows that are not as they were written."""
    columns = ", ".join(f'"{name}"' for name in table.columns)
    cursor = connection.execute(f"SELECT {columns}, digest FROM {table.name}")
    while rows := cursor.fetchmany(PIECE):
        for row in rows:
            if digest_of(table, row[:-1]) != row[-1]:
                yield damaged_row(table, row, str(path))
