"""The rows of the event log: requests, impressions and events. Each column is declared here, once.

A row's key is its idempotency key: the same row may be delivered any number of times. Its digest covers every column
but the arrival. Two rows with one key and different digests are in conflict.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from recsys_core.data.fields import BadRow
from recsys_core.days import DAY_S, start_of
from recsys_core.errors import LogError
from recsys_core.feedback.values import (
    FLOATS,
    FROM_ONE,
    ID,
    KIND,
    MICROSECONDS,
    NAME,
    NUMBER,
    PROPENSITY,
    SECONDS,
    SHARE,
    STARS,
    STATES,
    TEXT,
    Kind,
)

DIGEST_BYTES = 16

FIRST_DAY = "2016-09-17"
"""No log begins earlier. It is the month before the shipped data set ends, which `recsys log demo` can play as a log; a
day more is a partition more in every view of Dagster."""

_FIRST_SECOND = start_of(FIRST_DAY)

Row = tuple[Any, ...]
"""A row's values in the order of its table's columns: texts, whole numbers, floats, bytes or None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestRecord:
    """One answered request."""

    request_id: Annotated[str, NAME, "Names the request."]
    user_id: Annotated[int | None, ID, "The user who asked; null without a known user."]
    history: Annotated[
        str | None,
        TEXT,
        "Ratings given with the request: JSON [[item_id, rating, timestamp], ...]; null without any.",
    ]
    k: Annotated[int, FROM_ONE, "Number of requested items."]
    requested_at: Annotated[int, SECONDS, "The second (UTC) as of which it was answered."]
    served_at: Annotated[int, MICROSECONDS, "When it was answered, in microseconds UTC."]
    release: Annotated[str, NAME, "The release that answered."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Impression:
    """One shown slot; `features` are packed by `pack_features`, and there are none without a ranker."""

    request_id: Annotated[str, NAME, "The request that was answered."]
    user_id: Annotated[int | None, ID, "The user who saw it; null without a known user."]
    item_id: Annotated[int, ID, "The item that was shown."]
    position: Annotated[int, FROM_ONE, "The place in the list, from 1."]
    release: Annotated[str, NAME, "The release that answered."]
    policy: Annotated[str, NAME, "The policy that filled the slot, list rules included."]
    propensity: Annotated[float, PROPENSITY, "The probability with which the policy showed this item there."]
    score: Annotated[float, NUMBER, "The score that ordered the list, higher first."]
    retrieval_score: Annotated[float | None, NUMBER, "Score of retrieval; null where the item did not come from there."]
    retrieval_rank: Annotated[int | None, FROM_ONE, "Place in the order of retrieval, from 1; null likewise."]
    probability: Annotated[
        float | None, SHARE, "Stated probability of a like; null where the ranker is not calibrated."
    ]
    feature_set: Annotated[str, NAME, "Version of the features that were read."]
    features: Annotated[bytes, FLOATS, "Features that the ranker read: float32, little-endian, NaN where missing."]
    feature_states: Annotated[bytes, STATES, "A byte per feature: 0 fresh, 1 missing, 2 stale."]
    requested_at: Annotated[int, SECONDS, "The second (UTC) as of which it was answered."]
    served_at: Annotated[int, MICROSECONDS, "When it was answered, in microseconds UTC."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One action of a user on an item."""

    event_id: Annotated[str, NAME, "Names the event; a second delivery of it is a repeat."]
    request_id: Annotated[str | None, NAME, "The request that it followed; null where it followed none of ours."] = None
    user_id: Annotated[int, ID, "The user of the event."]
    item_id: Annotated[int, ID, "The item of the event."]
    kind: Annotated[str, KIND, "The kind of action."]
    value: Annotated[float | None, STARS, "Stars of a rating; null for other kinds."]
    timestamp: Annotated[int, SECONDS, "When it happened, in seconds UTC."]
    received_at: Annotated[int, SECONDS, "When it arrived, in seconds UTC."]


Record = RequestRecord | Impression | Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of the log, as the record's class declares it."""

    kind: Kind
    nullable: bool
    description: str

    def check(self, name: str, value: object) -> object:
        """The value, unchanged.

        Raises:
            BadRow: it is not valid in this column.
        """
        return None if self.nullable and value is None else self.kind.check(name, value)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogTable:
    """One table of the log; its columns are the fields of `record`, in order."""

    name: str
    record: type[RequestRecord] | type[Impression] | type[Event]
    declared: Mapping[str, Column]
    columns: Mapping[str, pl.DataType]
    rule: Callable[[Any], None]  # checks the columns of one record against each other; raises BadRow
    key: tuple[str, ...]
    arrival: str  # the column that holds the time of arrival
    ticks: int  # of that column, per second

    @property
    def key_places(self) -> list[int]:
        """Positions of the key columns in a row."""
        return [list(self.columns).index(name) for name in self.key]

    def frame(self, records: Sequence["Record"]) -> pl.DataFrame:
        """A row per record, not checked."""
        rows = [[getattr(one, name) for name in self.columns] for one in records]
        return pl.DataFrame(rows, schema=dict(self.columns), orient="row")

    def bounds(self, start: int) -> tuple[int, int]:
        """The first arrival of the day that begins in the second `start`, and of the day after."""
        return start * self.ticks, (start + DAY_S) * self.ticks


def _columns_of(record: type) -> dict[str, Column]:
    """The columns that a record's fields declare: `Annotated[type, kind, description]`."""
    columns = {}
    for name, hint in get_type_hints(record, include_extras=True).items():
        python_type, kind, description = get_args(hint)
        columns[name] = Column(kind=kind, nullable=NoneType in get_args(python_type), description=description)
    return columns


def _table(record: type[RequestRecord] | type[Impression] | type[Event], **settings: Any) -> LogTable:
    declared = _columns_of(record)
    columns = {name: column.kind.dtype for name, column in declared.items()}
    return LogTable(record=record, declared=declared, columns=columns, **settings)


def _no_rule(_record: Record) -> None:
    return


def _stars_of_ratings_only(event: Event) -> None:
    if event.kind == "rating" and event.value is None:
        raise BadRow("value", "wrong type", "None")
    if event.kind != "rating" and event.value is not None:
        raise BadRow("value", "only a rating has a value", str(event.value))


def _a_state_per_feature(impression: Impression) -> None:
    n_values, n_states = len(impression.features) // 4, len(impression.feature_states)
    if n_values != n_states:
        raise BadRow("feature_states", "not as many as features", f"{n_states} for {n_values}")


REQUESTS_TABLE = _table(
    RequestRecord,
    name="requests",
    rule=_no_rule,
    key=("request_id",),
    arrival="served_at",
    ticks=1_000_000,
)

IMPRESSIONS_TABLE = _table(
    Impression,
    name="impressions",
    rule=_a_state_per_feature,
    key=("request_id", "position"),
    arrival="served_at",
    ticks=1_000_000,
)

EVENTS_TABLE = _table(
    Event,
    name="events",
    rule=_stars_of_ratings_only,
    key=("event_id",),
    arrival="received_at",
    ticks=1,
)

TABLES = {table.name: table for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE, EVENTS_TABLE)}
"""Every table of rows with a key, in the order in which a batch is stored."""


def checked_row(table: LogTable, record: Record) -> Row:
    """The row of a record.

    Raises:
        BadRow: a value is not what its column holds, or two contradict each other.
    """
    row = tuple(column.check(name, getattr(record, name)) for name, column in table.declared.items())
    arrived = getattr(record, table.arrival)
    if arrived < _FIRST_SECOND * table.ticks:  # no partition would ever read it
        raise BadRow(table.arrival, f"before {FIRST_DAY}, when the log begins", str(arrived))
    table.rule(record)
    return row


def row_of(table: LogTable, record: Record) -> Row:
    """The row of a record of our own service.

    Raises:
        LogError: the record is invalid, which is a bug of the code that made it.
    """
    try:
        return checked_row(table, record)
    except BadRow as bad:
        raise LogError(
            f"a row for {table.name} is not fit to be logged, {bad.column}: {bad.reason} ({bad.value}); nothing of "
            "its batch was stored. Correct the code that makes the row"
        ) from bad


def digest_of(table: LogTable, row: Row) -> bytes:
    """16 bytes over a row without its arrival: equal for a redelivery, different for any other value."""
    arrival = list(table.columns).index(table.arrival)
    # repr is exact for every type that a row can hold, and keeps None, "None" and b"None" apart.
    return hashlib.blake2b(repr(row[:arrival] + row[arrival + 1 :]).encode(), digest_size=DIGEST_BYTES).digest()


def stored_rows(
    requests: Sequence[RequestRecord], impressions: Sequence[Impression], events: Sequence[Event]
) -> dict[str, list[Row]]:
    """The rows of a batch with their digests last, by table, in the order in which tables are stored.

    Raises:
        LogError: a record is invalid.
    """
    given: dict[str, Sequence[Record]] = {"requests": requests, "impressions": impressions, "events": events}
    return {name: [_with_digest(TABLES[name], one) for one in records] for name, records in given.items()}


def deliveries_schema(table: LogTable) -> dict[str, pl.DataType]:
    """Columns of a table's deliveries: its key, its arrival, `digest`."""
    named = (*table.key, table.arrival)
    return {**{name: table.columns[name] for name in named}, "digest": pl.Binary()}


def rows_frame(table: LogTable, rows: Sequence[Row], where: str) -> pl.DataFrame:
    """Stored rows, digest last, as a frame.

    Raises:
        LogError: a row is not the one that was written, as its digest shows.
    """
    for fault in altered_rows(table, rows, where):
        raise LogError(fault)
    return pl.DataFrame(rows, schema={**table.columns, "digest": pl.Binary()}, orient="row")


def deliveries_frame(table: LogTable, rows: Sequence[Row], where: str) -> pl.DataFrame:
    """Deliveries as a frame; their other columns, and so their digests, were not read.

    Raises:
        LogError: a value has not the type of its column: SQLite keeps a type with each value, and a flipped bit may
            change it.
    """
    try:
        found = pl.DataFrame(rows, schema=deliveries_schema(table), orient="row", strict=True)
    except (TypeError, OverflowError, PolarsError) as error:
        raise LogError(_damaged_keys(table, where)) from error
    if any(found.null_count().row(0)):
        raise LogError(_damaged_keys(table, where))
    return found


def altered_rows(table: LogTable, rows: Iterable[Row], where: str) -> Iterator[str]:
    """A sentence for each stored row, digest last, that is not as it was written."""
    for row in rows:
        if digest_of(table, row[:-1]) != row[-1]:
            yield _damaged_row(table, row, where)


def _with_digest(table: LogTable, record: Record) -> Row:
    row = row_of(table, record)
    return (*row, digest_of(table, row))


def _damaged_keys(table: LogTable, where: str) -> str:
    return (
        f"{where}: a key, an arrival or a digest of {table.name} is not as it was written; the storage is damaged. "
        "Restore the log from a copy, and run `recsys log verify`"
    )


def _damaged_row(table: LogTable, row: Row, where: str) -> str:
    key = ", ".join(str(row[place]) for place in table.key_places)
    return (
        f"{where}: the row {key} of {table.name} is not as it was written; the storage is damaged. "
        "Restore the log from a copy, and run `recsys log verify`"
    )


def pack_features(features: npt.NDArray[np.float32]) -> bytes:
    """(d,) feature values as the log stores them: little-endian float32."""
    return np.asarray(features, dtype="<f4").tobytes()


def has_features(n: int) -> pl.Expr:
    """Whether an impression holds n features; the log accepts any number, under the name of any version."""
    return pl.col("features").bin.size() == 4 * n


def unpack_features(packed: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """(n, d) feature values of n impressions of one feature set, bit for bit as they were packed.

    Raises:
        ValueError: the impressions have different numbers of features.
    """
    rows = [np.frombuffer(one, dtype="<f4") for one in packed]
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, 0), dtype=np.float32)
