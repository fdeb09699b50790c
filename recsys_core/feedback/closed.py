"""What the log holds of closed days, read whole."""

import polars as pl

from recsys_core.days import start_of
from recsys_core.feedback.arrivals import FIRST, by_day, day_versions, rows_of, version_until
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, LogTable
from recsys_core.feedback.set_aside import requests_set_aside, version_without


def rows_until(log: EventLog, table: LogTable, last_day: str) -> pl.DataFrame:
    """The rows of a table that arrived up to and with a day, sorted by key; of a key the first arrival.

    Args:
        log: the event log.
        table: which of its tables.
        last_day: YYYY-MM-DD.

    Raises:
        LogError: the log is damaged or cannot be read.
    """
    days = by_day(log.deliveries(table), table).filter(pl.col("day") <= last_day)["day"].unique().sort()
    rows = [rows_of(log.read_day(table, start_of(day)), table).filter(standing=FIRST) for day in days]
    return pl.concat([table.frame([]), *(one.select(*table.columns) for one in rows)]).sort(*table.key)


def served_version(log: EventLog, last_day: str) -> str:
    """One version over the requests and what they showed, up to and with a day (YYYY-MM-DD); NO_VERSION of neither.

    Of both tables, since slots may arrive on a later day than their request.

    Raises:
        LogError: the log cannot be read.
    """
    versions = [day_versions(log, table) for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE)]
    return version_without(version_until(last_day, *versions), requests_set_aside(log))


def shown_version(log: EventLog, last_day: str) -> str:
    """One version over what was shown, up to and with a day (YYYY-MM-DD); NO_VERSION where nothing was.

    Raises:
        LogError: the log cannot be read.
    """
    return version_without(version_until(last_day, day_versions(log, IMPRESSIONS_TABLE)), requests_set_aside(log))
