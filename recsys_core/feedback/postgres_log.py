"""The event log in PostgreSQL: for writers on several machines. Needs the extra `postgres`.

Its tables are in the schema `recsys_log`, so that the log may share a database with others. Importing this module
imports SQLAlchemy, so it is imported only where a URL is given.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from recsys_core.errors import LogError
from recsys_core.feedback.log import (
    IMPORTED,
    SCHEMA_VERSION,
    BadLine,
    BaseLog,
    Note,
    Snapshot,
    in_order,
    release_times,
    waiting_lines,
)
from recsys_core.feedback.records import (
    TABLES,
    LogTable,
    Row,
    altered_rows,
    deliveries_frame,
    deliveries_schema,
    rows_frame,
)

SCHEMA = "recsys_log"
ONE_AT_A_TIME = 0x72656373
"""Key of the lock under which the tables are created, because two writers may start together."""

WAIT_S = 10
"""Seconds to wait for the server to answer a new connection."""

_TYPES: dict[pl.DataType, sa.types.TypeEngine[Any]] = {
    pl.String(): sa.Text(),
    pl.Int64(): sa.BigInteger(),
    pl.Float64(): sa.Double(),
    pl.Float32(): sa.Double(),
    pl.Binary(): sa.LargeBinary(),
}

_ADVICE = {
    "53100": "the server's disk is full, and nothing of the batch was stored: free some space and append it again",
    "42501": "the user lacks permission: grant it the right to create a schema, or create the schema recsys_log for it",
    "25006": "the server is read-only: name the primary in RECSYS_LOG_URL",
}


def _declared(table: LogTable) -> sa.Table:
    return sa.Table(
        table.name,
        _metadata,
        *(sa.Column(name, _TYPES[dtype]) for name, dtype in table.columns.items()),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Index(f"{table.name}_by_key", *table.key, table.arrival, "digest", unique=True),
        sa.Index(f"{table.name}_by_arrival", table.arrival),
    )


_metadata = sa.MetaData(schema=SCHEMA)
_meta = sa.Table("meta", _metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))

stored_tables = {name: _declared(table) for name, table in TABLES.items()}

quarantine_table = sa.Table(
    "quarantine",
    _metadata,
    sa.Column("line_id", sa.LargeBinary, primary_key=True),
    sa.Column("source", sa.Text),
    sa.Column("line", sa.BigInteger),
    sa.Column("column", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("value", sa.Text),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("set_aside_at", sa.BigInteger),
)

replayed_table = sa.Table(
    "replayed",
    _metadata,
    sa.Column("line_id", sa.LargeBinary, primary_key=True),
    sa.Column("replayed_at", sa.BigInteger),
)


notes_table = sa.Table(
    "notes",
    _metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("noted_at", sa.BigInteger, primary_key=True, autoincrement=False),
)


def engine_of(url: str) -> sa.Engine:
    """The engine of a URL such as postgresql://user:password@host:port/database; connects when first used.

    Raises:
        LogError: the URL does not name PostgreSQL, or the driver is not installed.
    """
    try:
        named = sa.make_url(url)
    except ArgumentError as error:
        raise LogError("RECSYS_LOG_URL is not a URL: write postgresql://user:password@host:port/database") from error
    if named.get_backend_name() not in {"postgresql", "postgres"}:
        raise LogError(
            f"RECSYS_LOG_URL names {named.get_backend_name()}: only postgresql:// is known; without it the log is kept "
            "in SQLite files in the lake"
        )
    # A server may be configured to acknowledge a commit before it is on the disk.
    options = f"{named.query.get('options', '')} -c synchronous_commit=on".strip()
    try:
        return sa.create_engine(
            named.set(drivername="postgresql+psycopg"),
            connect_args={"options": options, "connect_timeout": WAIT_S},
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        raise LogError(
            f"{error.name} is not installed, which RECSYS_LOG_URL needs: pip install -e '.[postgres]'"
        ) from error


def make_tables(engine: sa.Engine, place: str) -> None:
    """Create the tables where they are missing.

    Raises:
        LogError: they are of a newer version.
        SQLAlchemyError: they cannot be created.
    """
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        if not sa.inspect(connection).has_table("meta", schema=SCHEMA):
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            _metadata.create_all(connection)
            connection.execute(insert(_meta).values(version=SCHEMA_VERSION))
        elif not sa.inspect(connection).has_table("notes", schema=SCHEMA):
            notes_table.create(connection)  # this table was added later than the others
        version = connection.execute(sa.select(_meta.c.version)).scalar_one()
    if version != SCHEMA_VERSION:
        raise LogError(
            f"{place} has version {version} of the event log, this program knows {SCHEMA_VERSION}: use the program "
            "that wrote it, or a newer one"
        )


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn an error of the database into a LogError that names the database and the remedy."""
    try:
        yield
    except SQLAlchemyError as error:
        original = getattr(error, "orig", None) or error
        advice = _ADVICE.get(getattr(original, "sqlstate", None) or "", "check the server and RECSYS_LOG_URL")
        raise LogError(f"{place}: {' '.join(str(original).split())}; {advice}") from error


ROWS_PER_READ = 10_000
"""Rows that `damage` holds in memory at once."""


class PostgresLog(BaseLog[sa.Connection]):
    """An EventLog in a PostgreSQL database; may be shared by threads, not carried over a fork."""

    def __init__(self, url: str) -> None:
        """Name the database, without connecting.

        Raises:
            LogError: the URL does not name PostgreSQL, or the driver is not installed.
        """
        self._engine = engine_of(url)
        self.place = self._engine.url.render_as_string(hide_password=True)
        self._has_tables = False

    def read_day(self, table: LogTable, start: int) -> Snapshot:
        """The rows that arrived on the day from the second `start` on.

        Raises:
            LogError: a row is damaged, or the database cannot be read.
        """
        arrival, (first, end) = stored_tables[table.name].c[table.arrival], table.bounds(start)
        return self._snapshot(table, (arrival >= first) & (arrival < end))

    def read_user(self, table: LogTable, user_id: int, since: int) -> Snapshot:
        """The rows of one user that arrived from the second `since` on.

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

    def quarantine(self, lines: Sequence[BadLine]) -> None:
        """Store bad lines, each once; a released line is quarantined again, with its new place.

        Raises:
            LogError: they could not be stored.
        """
        rows = [{name: getattr(one, name) for name in BadLine.__dataclass_fields__} for one in lines]
        if not rows:
            return
        names = [name for name in BadLine.__dataclass_fields__ if name != "line_id"]
        with self._writing() as connection:
            released = _last(connection, replayed_table.c.replayed_at)
            kept = insert(quarantine_table)
            anew = kept.on_conflict_do_update(
                index_elements=["line_id"], set_={one: kept.excluded[one] for one in names}
            )
            for row in rows:
                row["set_aside_at"] = max(row["set_aside_at"], released.get(row["line_id"], 0))
                connection.execute(anew if row["line_id"] in released else kept.on_conflict_do_nothing(), row)

    def quarantined(self) -> list[BadLine]:
        """The bad lines that have not been released, oldest first.

        Raises:
            LogError: the database cannot be read.
        """
        with self._reading() as connection:
            rows = _all(connection, sa.select(*(quarantine_table.c[name] for name in BadLine.__dataclass_fields__)))
            return waiting_lines(rows, _last(connection, replayed_table.c.replayed_at))

    def release(self, line_ids: Collection[bytes], at: int) -> None:
        """Record that these lines are released.

        Raises:
            LogError: it could not be stored.
        """
        if not line_ids:
            return
        with self._writing() as connection:
            set_aside = _last(connection, quarantine_table.c.set_aside_at)
            gone = release_times(line_ids, at, set_aside)
            rows = [{"line_id": one, "replayed_at": second} for one, second in gone.items()]
            noted = insert(replayed_table)
            later = sa.func.greatest(replayed_table.c.replayed_at, noted.excluded.replayed_at)
            connection.execute(
                noted.on_conflict_do_update(index_elements=["line_id"], set_={"replayed_at": later}), rows
            )

    def notes(self, kind: str) -> list[Note]:
        """The notes of a kind, oldest first.

        Raises:
            LogError: the database cannot be read.
        """
        columns = [notes_table.c[name] for name in ("kind", "key", "value", "noted_at")]
        with self._reading() as connection:
            rows = _all(connection, sa.select(*columns).where(notes_table.c.kind == kind))
        found = [Note(kind=kind, key=key, value=value, noted_at=noted_at) for kind, key, value, noted_at in rows]
        return in_order(found)

    def imported_requests(self) -> set[str]:
        """The ids of requests that were imported, or have an imported slot, and were not stored before.

        Raises:
            LogError: the database cannot be read.
        """
        return {note.key for note in self.notes(IMPORTED)}

    def accept_loss(self) -> list[str]:
        """Nothing to accept: a database keeps its own rows together."""
        return []

    def damage(self) -> list[str]:
        """Compare every row with its digest; a sentence for each that differs."""
        found: list[str] = []
        try:
            with self._reading() as connection:
                for table in TABLES.values():
                    stored = connection.execution_options(yield_per=ROWS_PER_READ).execute(
                        sa.select(stored_tables[table.name])
                    )
                    found += altered_rows(table, (tuple(row) for row in stored), self.place)
        except LogError as error:
            found.append(str(error))
        return found

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with explained(self.place):
            self._make_tables()
            with self._engine.begin() as connection:
                # A table that has just grown has no statistics yet, and the planner would scan all of it to look up the
                # keys of each batch.
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
        # In the order of the index: two writers then lock rows in one order, and cannot deadlock.
        ordered = sorted(rows, key=lambda row: (*(row[place] for place in table.key_places), row[-1]))
        given = _as_table(table, ordered)
        stored = insert(stored_tables[table.name]).from_select(list(given.c.keys()), sa.select(*given.c))
        connection.execute(stored.on_conflict_do_nothing())

    def _is_stored(self, connection: sa.Connection, table: LogTable, mark: Note) -> bool:
        stored = stored_tables[table.name]
        same = (stored.c.request_id == mark.key) & (stored.c.digest == bytes.fromhex(mark.value))
        return connection.execute(sa.select(sa.literal(1)).where(same)).first() is not None

    def _keep(self, connection: sa.Connection, notes: Sequence[Note]) -> None:
        if notes:
            connection.execute(insert(notes_table).on_conflict_do_nothing(), [asdict(one) for one in notes])

    def _make_tables(self) -> None:
        if not self._has_tables:
            make_tables(self._engine, self.place)
            self._has_tables = True


def _as_table(table: LogTable, rows: Sequence[Row]) -> "sa.TableValuedAlias":
    """Rows, digest last, as a table expression with one array per column: one round trip, however many rows."""
    columns = stored_tables[table.name].c
    names = [*table.columns, "digest"]
    arrays = [
        sa.bindparam(f"all_{name}", list(values), type_=sa.ARRAY(columns[name].type))
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    ]
    return sa.func.unnest(*arrays).table_valued(*names).render_derived()


def _last(connection: sa.Connection, second: "sa.Column[Any]") -> dict[bytes, int]:
    """Line id -> the second that a table of the quarantine holds for it."""
    return {bytes(line_id): int(at) for line_id, at in _all(connection, sa.select(second.table.c.line_id, second))}


def _deliveries(table: LogTable) -> "sa.Select[Any]":
    return sa.select(*(stored_tables[table.name].c[name] for name in deliveries_schema(table)))


def _all(connection: sa.Connection, query: "sa.Select[Any]") -> list[Row]:
    return [tuple(row) for row in connection.execute(query)]
