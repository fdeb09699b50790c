"""The event log in PostgreSQL: for writers on several machines. Needs the extra `postgres`.

Importing this module imports SQLAlchemy, so only whoever was given a URL does.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from recsys_core.errors import LogError
from recsys_core.feedback.base_log import BaseLog
from recsys_core.feedback.log import (
    IMPORTED,
    BadLine,
    Note,
    Snapshot,
    altered_rows,
    deliveries_frame,
    deliveries_schema,
    in_order,
    let_go_at,
    oldest_first,
    rows_frame,
)
from recsys_core.feedback.postgres_tables import (
    engine_of,
    explained,
    make_tables,
    quarantine,
    replayed,
    stored_tables,
)
from recsys_core.feedback.postgres_tables import (
    notes as stored_notes,
)
from recsys_core.feedback.records import TABLES, LogTable, Row

PIECE = 10_000
"""Rows that a check of everything holds in memory at once."""


class PostgresLog(BaseLog[sa.Connection]):
    """An EventLog in a PostgreSQL database; may be shared by threads, not carried over a fork."""

    def __init__(self, url: str) -> None:
        """Name the database; nothing is connected yet.

        Raises:
            LogError: the URL is none of PostgreSQL, or the driver is not installed.
        """
        self._engine = engine_of(url)
        self.place = self._engine.url.render_as_string(hide_password=True)
        self._has_tables = False

    def read_day(self, table: LogTable, start: int) -> Snapshot:
        """What arrived from the second `start` on, for a day.

        Raises:
            LogError: a row is damaged, or the database cannot be read.
        """
        arrival, (first, end) = stored_tables[table.name].c[table.arrival], table.bounds(start)
        return self._snapshot(table, (arrival >= first) & (arrival < end))

    def read_user(self, table: LogTable, user_id: int, since: int) -> Snapshot:
        """What arrived of one user from the second `since` on.

        Raises:
            LogError: a row is damaged, or the database cannot be read.
        """
        columns = stored_tables[table.name].c
        return self._snapshot(table, (columns[table.arrival] >= since * table.ticks) & (columns.user_id == user_id))

    def _snapshot(self, table: LogTable, where: "sa.ColumnElement[bool]") -> Snapshot:
        stored = stored_tables[table.name]
        key = stored.c[table.key[0]]
        with self._reading() as connection:
            rows = _all(connection, sa.select(stored).where(where))
            of_keys = _deliveries(table).where(key.in_(sa.select(key).where(where)))
            known = _all(connection, of_keys)
        return Snapshot(
            rows=rows_frame(table, rows, self.place),
            deliveries=deliveries_frame(table, known, self.place),
        )

    def deliveries(self, table: LogTable) -> pl.DataFrame:
        """Key, arrival and digest of every row.

        Raises:
            LogError: the database cannot be read.
        """
        with self._reading() as connection:
            rows = _all(connection, _deliveries(table))
        return deliveries_frame(table, rows, self.place)

    def set_aside(self, lines: Sequence[BadLine]) -> None:
        """Keep bad lines, each once; one that had been let go waits again, under its new place.

        Raises:
            LogError: they could not be stored.
        """
        rows = [{name: getattr(one, name) for name in BadLine.__dataclass_fields__} for one in lines]
        if not rows:
            return
        names = [name for name in BadLine.__dataclass_fields__ if name != "line_id"]
        with self._writing() as connection:
            let_go = _last(connection, replayed.c.replayed_at)
            kept = insert(quarantine)
            anew = kept.on_conflict_do_update(
                index_elements=["line_id"], set_={one: kept.excluded[one] for one in names}
            )
            for row in rows:
                row["set_aside_at"] = max(row["set_aside_at"], let_go.get(row["line_id"], 0))
                connection.execute(anew if row["line_id"] in let_go else kept.on_conflict_do_nothing(), row)

    def quarantined(self) -> list[BadLine]:
        """The bad lines that were not let go since, oldest first.

        Raises:
            LogError: the database cannot be read.
        """
        with self._reading() as connection:
            rows = _all(connection, sa.select(*(quarantine.c[name] for name in BadLine.__dataclass_fields__)))
            return oldest_first(rows, _last(connection, replayed.c.replayed_at))

    def let_go(self, line_ids: Collection[bytes], at: int) -> None:
        """Note that these lines wait no more.

        Raises:
            LogError: it could not be stored.
        """
        if not line_ids:
            return
        with self._writing() as connection:
            set_aside = _last(connection, quarantine.c.set_aside_at)
            gone = let_go_at(line_ids, at, set_aside)
            rows = [{"line_id": one, "replayed_at": second} for one, second in gone.items()]
            noted = insert(replayed)
            later = sa.func.greatest(replayed.c.replayed_at, noted.excluded.replayed_at)
            connection.execute(
                noted.on_conflict_do_update(index_elements=["line_id"], set_={"replayed_at": later}), rows
            )

    def notes(self, kind: str) -> list[Note]:
        """The notes of a kind, oldest first.

        Raises:
            LogError: the database cannot be read.
        """
        columns = [stored_notes.c[name] for name in ("kind", "key", "value", "noted_at")]
        with self._reading() as connection:
            rows = _all(connection, sa.select(*columns).where(stored_notes.c.kind == kind))
        found = [Note(kind=kind, key=key, value=value, noted_at=noted_at) for kind, key, value, noted_at in rows]
        return in_order(found)

    def imported_requests(self) -> set[str]:
        """The ids of requests that were imported, or have a slot that was, and were not stored before.

        Raises:
            LogError: the database cannot be read.
        """
        return {note.key for note in self.notes(IMPORTED)}

    def accept_loss(self) -> list[str]:
        """Nothing: a database keeps its own rows together."""
        return []

    def damage(self) -> list[str]:
        """Compare every row with its digest; a sentence for each that differs."""
        found: list[str] = []
        try:
            with self._reading() as connection:
                for table in TABLES.values():
                    stored = connection.execution_options(yield_per=PIECE).execute(sa.select(stored_tables[table.name]))
                    found += altered_rows(table, (tuple(row) for row in stored), self.place)
        except LogError as error:
            found.append(str(error))
        return found

    def close(self) -> None:
        """End the connections; the next use makes new ones."""
        self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with explained(self.place):
            self._make_tables()
            with self._engine.begin() as connection:
                # A table that has just grown has no statistics yet, and the planner would read all of it to look up
                # the keys of each batch.
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """One snapshot of the whole database."""
        with explained(self.place):
            self._make_tables()
            options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection

    def _digests(self, connection: sa.Connection, table: LogTable, firsts: Sequence[str]) -> list[Row]:
        stored = stored_tables[table.name]
        wanted = sa.bindparam("keys", list(firsts), type_=sa.ARRAY(sa.Text))
        query = sa.select(*(stored.c[name] for name in table.key), stored.c.digest)
        return _all(connection, query.where(stored.c[table.key[0]] == sa.any_(wanted)))

    def _insert(self, connection: sa.Connection, table: LogTable, rows: Sequence[Row]) -> None:
        stored, columns, places = stored_tables[table.name], [*table.columns, "digest"], table.key_places
        # In the order of the index: two transactions that wait for each other's rows then do so one way round only.
        ordered = sorted(rows, key=lambda row: (*(row[place] for place in places), row[-1]))
        # A statement with an array per column takes one trip to the server, however many rows there are.
        arrays = [
            sa.bindparam(f"all_{name}", list(values), type_=sa.ARRAY(stored.c[name].type))
            for name, values in zip(columns, zip(*ordered, strict=True), strict=True)
        ]
        given = sa.func.unnest(*arrays).table_valued(*columns).render_derived()
        connection.execute(insert(stored).from_select(columns, sa.select(*given.c)).on_conflict_do_nothing())

    def _is_stored(self, connection: sa.Connection, table: LogTable, mark: Note) -> bool:
        stored = stored_tables[table.name]
        same = (stored.c.request_id == mark.key) & (stored.c.digest == bytes.fromhex(mark.value))
        return connection.execute(sa.select(sa.literal(1)).where(same)).first() is not None

    def _keep(self, connection: sa.Connection, notes: Sequence[Note]) -> None:
        if notes:
            connection.execute(insert(stored_notes).on_conflict_do_nothing(), [asdict(one) for one in notes])

    def _make_tables(self) -> None:
        if not self._has_tables:
            make_tables(self._engine, self.place)
            self._has_tables = True


def _last(connection: sa.Connection, second: "sa.Column[Any]") -> dict[bytes, int]:
    """Line id -> the second that a table of the quarantine holds for it."""
    return {bytes(line_id): int(at) for line_id, at in _all(connection, sa.select(second.table.c.line_id, second))}


def _deliveries(table: LogTable) -> "sa.Select[Any]":
    return sa.select(*(stored_tables[table.name].c[name] for name in deliveries_schema(table)))


def _all(connection: sa.Connection, query: "sa.Select[Any]") -> list[Row]:
    return [tuple(row) for row in connection.execute(query)]
