"""The rows of the event log, and what identifies them: requests, impressions, events.

A row's key is its idempotency key: the same row may be delivered any number of times. Its digest covers all that was
sent, which is every column but the arrival; two rows of one key with different digests contradict each other.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.quarantine import BadRow
from recsys_core.days import DAY_S, start_of
from recsys_core.errors import LogError
from recsys_core.feedback import values
from recsys_core.feedback.schemas import IMPRESSIONS_COLUMNS, INTERACTIONS_COLUMNS, REQUESTS_COLUMNS
from recsys_core.feedback.values import Check, optional

DIGEST_BYTES = 16

FIRST_DAY = "2016-09-17"
"""No log begins earlier. It is the month before the shipped data set ends, which `recsys log demo` can play as a log; a
day more is a partition more in every view of Dagster."""

_FIRST_SECOND = start_of(FIRST_DAY)

Row = tuple[Any, ...]
"""A row's values in the order of its table's columns: texts, whole numbers, floats, bytes or None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One answered request; the columns are explained at `schemas.REQUESTS`."""

    request_id: str
    user_id: int | None
    history: str | None  # JSON [[item_id, rating, timestamp], ...] where it came with the request
    k: int
    requested_at: int  # seconds UTC: as of which it was answered
    served_at: int  # microseconds UTC
    release: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Impression:
    """One shown slot; the columns are explained at `schemas.IMPRESSIONS`."""

    request_id: str
    user_id: int | None
    item_id: int
    position: int  # from 1
    release: str
    policy: str
    propensity: float  # in (0, 1]
    score: float
    retrieval_score: float | None
    retrieval_rank: int | None  # from 1
    probability: float | None
    feature_set: str
    features: bytes  # of `pack_features`
    feature_states: bytes  # uint8, one per feature
    requested_at: int  # seconds UTC
    served_at: int  # microseconds UTC


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What one user did with one item; `value` is a rating's stars, None for other kinds."""

    event_id: str
    user_id: int
    item_id: int
    kind: str
    value: float | None
    timestamp: int  # when it happened, seconds UTC
    received_at: int  # when it arrived, seconds UTC
    request_id: str | None = None  # None for what followed none of our answers


Record = Request | Impression | Event


@dataclass(frozen=True, kw_only=True, slots=True)
class LogTable:
    """One table of the log."""

    name: str
    record: type[Request] | type[Impression] | type[Event]
    columns: Mapping[str, pl.DataType]
    checks: Mapping[str, Check]  # by column, in the order of `columns`
    rule: Callable[[Any], None]  # what must hold between the columns of one record; raises BadRow
    key: tuple[str, ...]
    arrival: str  # the column that says when a row arrived
    ticks: int  # of that column, per second

    def frame(self, records: Sequence["Record"]) -> pl.DataFrame:
        """A row per record, not checked."""
        rows = [[getattr(one, name) for name in self.columns] for one in records]
        return pl.DataFrame(rows, schema=dict(self.columns), orient="row")

    def bounds(self, start: int) -> tuple[int, int]:
        """The first arrival of the day that begins in the second `start`, and of the day after."""
        return start * self.ticks, (start + DAY_S) * self.ticks


def _nothing(_record: Record) -> None:
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


REQUESTS_TABLE = LogTable(
    name="requests",
    record=Request,
    columns=REQUESTS_COLUMNS,
    checks={
        "request_id": values.name,
        "user_id": optional(values.id_number),
        "history": optional(values.text),
        "k": values.from_one,
        "requested_at": values.seconds,
        "served_at": values.microseconds,
        "release": values.name,
    },
    rule=_nothing,
    key=("request_id",),
    arrival="served_at",
    ticks=1_000_000,
)

IMPRESSIONS_TABLE = LogTable(
    name="impressions",
    record=Impression,
    columns=IMPRESSIONS_COLUMNS,
    checks={
        "request_id": values.name,
        "user_id": optional(values.id_number),
        "item_id": values.id_number,
        "position": values.from_one,
        "release": values.name,
        "policy": values.name,
        "propensity": values.propensity,
        "score": values.number,
        "retrieval_score": optional(values.number),
        "retrieval_rank": optional(values.from_one),
        "probability": optional(values.share),
        "feature_set": values.name,
        "features": values.floats,
        "feature_states": values.states,
        "requested_at": values.seconds,
        "served_at": values.microseconds,
    },
    rule=_a_state_per_feature,
    key=("request_id", "position"),
    arrival="served_at",
    ticks=1_000_000,
)

EVENTS_TABLE = LogTable(
    name="events",
    record=Event,
    columns=INTERACTIONS_COLUMNS,
    checks={
        "event_id": values.name,
        "request_id": optional(values.name),
        "user_id": values.id_number,
        "item_id": values.id_number,
        "kind": values.kind,
        "value": optional(values.stars),
        "timestamp": values.seconds,
        "received_at": values.seconds,
    },
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
    row = tuple(check(column, getattr(record, column)) for column, check in table.checks.items())
    arrived = getattr(record, table.arrival)
    if arrived < _FIRST_SECOND * table.ticks:  # no partition would ever read it
        raise BadRow(table.arrival, f"before {FIRST_DAY}, when the log begins", str(arrived))
    table.rule(record)
    return row


def row_of(table: LogTable, record: Record) -> Row:
    """The row of a record of our own making.

    Raises:
        LogError: the record is not fit to be logged; whoever made it has a fault.
    """
    try:
        return checked_row(table, record)
    except BadRow as bad:
        raise LogError(
            f"a row for {table.name} is not fit to be logged, {bad.column}: {bad.reason} ({bad.value}); nothing of "
            "its batch was stored. Mend what makes the row"
        ) from bad


def digest_of(table: LogTable, row: Row) -> bytes:
    """16 bytes over a row without its arrival; the same for a redelivery, another for any other value."""
    arrival = list(table.columns).index(table.arrival)
    # repr is exact for every type that a row can hold, and keeps None, "None" and b"None" apart.
    return hashlib.blake2b(repr(row[:arrival] + row[arrival + 1 :]).encode(), digest_size=DIGEST_BYTES).digest()


def stored_rows(
    requests: Sequence[Request], impressions: Sequence[Impression], events: Sequence[Event]
) -> dict[str, list[Row]]:
    """The rows of a batch with their digests last, by table, in the order in which tables are stored.

    Raises:
        LogError: a record is not fit to be logged.
    """
    given: dict[str, Sequence[Record]] = {"requests": requests, "impressions": impressions, "events": events}
    return {name: [_with_digest(TABLES[name], one) for one in records] for name, records in given.items()}


def _with_digest(table: LogTable, record: Record) -> Row:
    row = row_of(table, record)
    return (*row, digest_of(table, row))


def pack_features(features: npt.NDArray[np.float32]) -> bytes:
    """(d,) feature values as the log stores them: little-endian float32."""
    return np.asarray(features, dtype="<f4").tobytes()


def has_features(n: int) -> pl.Expr:
    """Whether an impression holds n features: the log takes in any number of them, under any version's name."""
    return pl.col("features").bin.size() == 4 * n


def unpack_features(packed: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """(n, d) feature values of n impressions of one feature set, bit for bit as they were packed.

    Raises:
        ValueError: the impressions have different numbers of features.
    """
    rows = [np.frombuffer(one, dtype="<f4") for one in packed]
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, 0), dtype=np.float32)
