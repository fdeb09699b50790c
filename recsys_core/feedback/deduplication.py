"""Deduplication of stored rows: the first arrival of every key counts; and versions of the rows that count.

A client or a queue that retries delivers a row again: to the same writer or another, on the same day or later. The log
keeps every delivery, and one rule reads them all, from any number of files, in any order:

- the first delivery of a key to arrive counts;
- a row with the same digest is a repeat of it;
- a row with another digest is a conflict: two different rows have the same key. If both arrived in the same tick, the
  smaller digest counts. That is arbitrary, but every reader gets the same result.
"""

import hashlib
import json
from collections.abc import Mapping

import polars as pl

from recsys_core.days import DAY_S, day_of, start_of
from recsys_core.feedback.log import EventLog, Snapshot
from recsys_core.feedback.quarantine import excluded_requests, version_without
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, LogTable

FIRST, REPEAT, CONFLICT = "first", "repeat", "conflict"

NO_VERSION = hashlib.sha256().hexdigest()
"""The version of a day on which nothing arrived."""


def last_closed_day(now: int, grace_s: int) -> str:
    """The latest day that is over, and whose grace period is too.

    >>> last_closed_day(now=2 * DAY_S + 3_600, grace_s=3_600)
    '1970-01-02'
    """
    return day_of(now - grace_s - DAY_S)


def with_delivery_status(deliveries: pl.DataFrame, table: LogTable) -> pl.DataFrame:
    """Deliveries, each once, with `delivery_status`: FIRST, REPEAT or CONFLICT; by key, arrival, digest.

    Args:
        deliveries: key, arrival, digest; all deliveries of the keys that occur.
        table: the table that they are of.
    """
    ordered = deliveries.unique().sort(*table.key, table.arrival, "digest")
    is_first = pl.struct(table.key).is_first_distinct()
    is_new = pl.struct(*table.key, "digest").is_first_distinct()
    delivery_status = (
        pl.when(is_first).then(pl.lit(FIRST)).when(is_new).then(pl.lit(CONFLICT)).otherwise(pl.lit(REPEAT))
    )
    return ordered.with_columns(delivery_status=delivery_status)


def rows_of(snapshot: Snapshot, table: LogTable) -> pl.DataFrame:
    """The rows of a snapshot, each delivery once, with `digest` and `delivery_status`; in no order."""
    known = with_delivery_status(snapshot.deliveries, table)
    on = [*table.key, table.arrival, "digest"]
    return snapshot.rows.unique(on).join(known, on=on, how="inner", validate="1:1")


def by_day(deliveries: pl.DataFrame, table: LogTable) -> pl.DataFrame:
    """Deliveries with `delivery_status` and `day` (YYYY-MM-DD, UTC)."""
    day = pl.from_epoch(pl.col(table.arrival) // (table.ticks * DAY_S), time_unit="d").dt.to_string("%Y-%m-%d")
    return with_delivery_status(deliveries, table).with_columns(day=day)


def day_versions(log: EventLog, table: LogTable) -> dict[str, str]:
    """The version of each day with arrivals other than repeats, days ascending.

    Raises:
        LogError: the log cannot be read.
    """
    counting = by_day(log.deliveries(table), table).filter(pl.col("delivery_status") != REPEAT)
    days = counting.partition_by("day", as_dict=True)
    return {str(day): version_of(rows, table) for (day,), rows in sorted(days.items())}


def version_until(last_day: str, *tables: Mapping[str, str]) -> str:
    """One version over all days up to and including the last day; NO_VERSION where there are none.

    Args:
        last_day: YYYY-MM-DD.
        tables: of each table that counts, its `day_versions`.
    """
    days = [{day: version for day, version in versions.items() if day <= last_day} for versions in tables]
    return hashlib.sha256(json.dumps(days).encode()).hexdigest() if any(days) else NO_VERSION


def version_of(rows: pl.DataFrame, table: LogTable) -> str:
    """SHA-256 over the rows of a day without repeats: their digests, arrivals and statuses, in any order.

    Args:
        rows: has `digest`, `delivery_status` and the arrival.
        table: the table that they are of.
    """
    counting = rows.filter(pl.col("delivery_status") != REPEAT).sort("digest", table.arrival)
    # Column by column, which is ten times faster than row by row. All values of a column have one length, so that no
    # two tables give the same bytes.
    hashed = hashlib.sha256(b"".join(counting["digest"].to_list()))
    hashed.update(counting[table.arrival].to_numpy().astype(">i8").tobytes())
    hashed.update((counting["delivery_status"] == FIRST).to_numpy().tobytes())
    return hashed.hexdigest()


def rows_until(log: EventLog, table: LogTable, last_day: str) -> pl.DataFrame:
    """The rows of a table that arrived up to and including a day, sorted by key; of each key the first arrival.

    Args:
        log: the event log.
        table: one of its tables.
        last_day: YYYY-MM-DD.

    Raises:
        LogError: the log is damaged or cannot be read.
    """
    days = by_day(log.deliveries(table), table).filter(pl.col("day") <= last_day)["day"].unique().sort()
    rows = [rows_of(log.read_day(table, start_of(day)), table).filter(delivery_status=FIRST) for day in days]
    return pl.concat([table.frame([]), *(one.select(*table.columns) for one in rows)]).sort(*table.key)


def served_version(log: EventLog, last_day: str) -> str:
    """One version over requests and impressions, up to and including a day (YYYY-MM-DD); NO_VERSION without any.

    It covers both tables, because slots may arrive on a later day than their request.

    Raises:
        LogError: the log cannot be read.
    """
    versions = [day_versions(log, table) for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE)]
    return version_without(version_until(last_day, *versions), excluded_requests(log))


def shown_version(log: EventLog, last_day: str) -> str:
    """One version over the impressions up to and including a day (YYYY-MM-DD); NO_VERSION without any.

    Raises:
        LogError: the log cannot be read.
    """
    return version_without(version_until(last_day, day_versions(log, IMPRESSIONS_TABLE)), excluded_requests(log))
