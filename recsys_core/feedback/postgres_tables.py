"""Tables of the event log in PostgreSQL, the engine that reaches them, and errors in words.

The tables lie in a schema of their own, `recsys_log`, so that the log may share a database with others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from recsys_core.errors import LogError
from recsys_core.feedback.log import SCHEMA_VERSION
from recsys_core.feedback.records import TABLES, LogTable

SCHEMA = "recsys_log"
ONE_AT_A_TIME = 0x72656373
"""Key of the lock under which the tables are made: two writers that start together would both try."""

WAIT_S = 10
"""How long to wait for the server to answer a new connection."""

_TYPES: dict[pl.DataType, sa.types.TypeEngine[Any]] = {
    pl.String(): sa.Text(),
    pl.Int64(): sa.BigInteger(),
    pl.Float64(): sa.Double(),
    pl.Float32(): sa.Double(),
    pl.Binary(): sa.LargeBinary(),
}

_ADVICE = {
    "53100": "the server's disk is full, and nothing of the batch was stored: free some space and append it again",
    "42501": "this user may not do that: grant it the right to create a schema, or create the schema recsys_log for it",
    "25006": "the server takes no writes: name the primary in RECSYS_LOG_URL",
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

quarantine = sa.Table(
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

replayed = sa.Table(
    "replayed",
    _metadata,
    sa.Column("line_id", sa.LargeBinary, primary_key=True),
    sa.Column("replayed_at", sa.BigInteger),
)


notes = sa.Table(
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
        LogError: the URL is none of PostgreSQL, or the driver is not installed.
    """
    try:
        named = sa.make_url(url)
    except ArgumentError as error:
        raise LogError("RECSYS_LOG_URL is no URL: write postgresql://user:password@host:port/database") from error
    if named.get_backend_name() not in {"postgresql", "postgres"}:
        raise LogError(
            f"RECSYS_LOG_URL names {named.get_backend_name()}: only postgresql:// is known; without it the log is kept "
            "in SQLite files in the lake"
        )
    # A server may be set to acknowledge before it writes; ours must not.
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
    """Make the tables where they are missing.

    Raises:
        LogError: they are of a newer version.
        SQLAlchemyError: they cannot be made.
    """
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        if not sa.inspect(connection).has_table("meta", schema=SCHEMA):
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
            _metadata.create_all(connection)
            connection.execute(insert(_meta).values(version=SCHEMA_VERSION))
        elif not sa.inspect(connection).has_table("notes", schema=SCHEMA):
            notes.create(connection)  # it came later than the other tables
        version = connection.execute(sa.select(_meta.c.version)).scalar_one()
    if version != SCHEMA_VERSION:
        raise LogError(
            f"{place} has version {version} of the event log, this program knows {SCHEMA_VERSION}: use the program "
            "that wrote it, or a newer one"
        )


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn an error of the database into a LogError that names the database and says what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        original = getattr(error, "orig", None) or error
        advice = _ADVICE.get(getattr(original, "sqlstate", None) or "", "check the server and RECSYS_LOG_URL")
        raise LogError(f"{place}: {' '.join(str(original).split())}; {advice}") from error
