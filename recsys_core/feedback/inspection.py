"""Inspect the event log: count its rows, verify them, and find days that wait to be ingested or have lost rows.

Rows of the log are only ever added, so a day with fewer deliveries than when it was ingested has lost some. Without
this check, a refresh would rebuild the day without the lost rows, and report it as up to date.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from recsys_core.days import days_from, stretches
from recsys_core.errors import LogError
from recsys_core.feedback.deduplication import CONFLICT, FIRST, NO_VERSION, REPEAT, by_day
from recsys_core.feedback.log import LOSS_ACCEPTED, EventLog, Note
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, TABLES

DAYS_COLUMNS: dict[str, pl.DataType] = {
    "day": pl.String(),
    "requests": pl.Int64(),
    "impressions": pl.Int64(),
    "events": pl.Int64(),
    "repeats": pl.Int64(),
    "conflicts": pl.Int64(),
}

CONFLICTS_COLUMNS: dict[str, pl.DataType] = {"table": pl.String(), "key": pl.String(), "day": pl.String()}

WAITING = "not ingested"
CHANGED = "changed since it was ingested"
SILENT = "nothing arrived"

GAPS_COLUMNS: dict[str, pl.DataType] = {
    "first": pl.String(),
    "last": pl.String(),
    "n_days": pl.Int64(),
    "what": pl.String(),
}


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Numbers of rows in a log.

    `days` counts, per day of arrival, the rows of each table that count, and the repeats and conflicts of all three
    together: rows of a key that had arrived before, alike or with other values.
    """

    days: pl.DataFrame  # DAYS_COLUMNS, days ascending
    n_quarantined: int


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The result of a complete check: `damage` as sentences; the rest is known only where there is no damage.

    `conflicts` names the keys with several different rows. `n_orphans` counts impressions of an unknown request.
    """

    damage: list[str]
    conflicts: pl.DataFrame  # CONFLICTS_COLUMNS, sorted
    n_orphans: int
    n_days: int


def stats(log: EventLog) -> Stats:
    """Count the rows of a log.

    Raises:
        LogError: it cannot be read.
    """
    return Stats(days=_days(_statuses(log)), n_quarantined=len(log.quarantined()))


def verify(log: EventLog) -> Verified:
    """Compare every row with its digest, and look for conflicting keys and for impressions without a request."""
    damage = log.damage() or _unreadable(log)
    if damage:
        return Verified(damage=damage, conflicts=pl.DataFrame(schema=CONFLICTS_COLUMNS), n_orphans=0, n_days=0)
    statuses = _statuses(log)
    impressions, requests = statuses[IMPRESSIONS_TABLE.name], statuses[REQUESTS_TABLE.name]
    orphans = impressions.filter(pl.col("delivery_status") == FIRST).join(requests, on="request_id", how="anti")
    return Verified(
        damage=[],
        conflicts=pl.concat([_conflicts(name, rows) for name, rows in statuses.items()]).sort("table", "key", "day"),
        n_orphans=orphans.height,
        n_days=_days(statuses).height,
    )


def gaps(logged: Mapping[str, str], ingested: Mapping[str, str], closed_until: str) -> pl.DataFrame:
    """Stretches of closed days on which something is missing, in order.

    A silent day may be in order, or the writer was down: only the owner of the log can tell. The days run from the
    first to the last that has a log or was ingested, and end with the last closed day.

    Args:
        logged: the version of each day that has a log.
        ingested: the version of the log that each day was ingested from.
        closed_until: the last closed day; all days are written YYYY-MM-DD.

    Returns:
        GAPS_COLUMNS: first and last day of a stretch, its days, and WAITING, CHANGED or SILENT.
    """
    known = sorted(day for day in {*logged, *ingested} if day <= closed_until)
    missing = {day: _missing(day, logged, ingested) for day in (days_from(known[0], known[-1]) if known else [])}
    rows = [
        (first, last, len(days_from(first, last)), what)
        for what in (WAITING, CHANGED, SILENT)
        for first, last in stretches([day for day, found in missing.items() if found == what])
    ]
    return pl.DataFrame(rows, schema=GAPS_COLUMNS, orient="row").sort("first")


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """A day of which the log holds fewer deliveries than were ingested."""

    day: str  # YYYY-MM-DD
    version: str  # of the day's interactions in the lake
    n_ingested: int
    n_held: int

    def __str__(self) -> str:
        return (
            f"of {self.day}, {self.n_ingested:,} deliveries of events were ingested, and the log holds {self.n_held:,} "
            "now: restore it from a copy, or continue without these rows with `recsys log accept-loss`"
        )

    def accepted(self, now: int) -> Note:
        """The note that accepts this loss; `now` in microseconds UTC."""
        return Note(kind=LOSS_ACCEPTED, key=self.day, value=f"{self.version} {self.n_held}", noted_at=now)


def deliveries_by_day(log: EventLog) -> dict[str, int]:
    """Number of event deliveries in the log by day, repeats and conflicts included.

    Raises:
        LogError: the log cannot be read.
    """
    days = by_day(log.deliveries(EVENTS_TABLE), EVENTS_TABLE).group_by("day").len()
    return dict(days.iter_rows())


def is_accepted(log: EventLog, loss: Loss) -> bool:
    """Whether this loss was accepted; a further loss of the same day is not.

    Raises:
        LogError: the log cannot be read.
    """
    wanted = loss.accepted(0)
    return any((note.key, note.value) == (wanted.key, wanted.value) for note in log.notes(LOSS_ACCEPTED))


def _unreadable(log: EventLog) -> list[str]:
    """Errors of reading the data without a digest: keys with their arrivals, and lines in quarantine."""
    try:
        log.quarantined()
        for table in TABLES.values():
            log.deliveries(table)
    except LogError as error:
        return [str(error)]
    return []


def _statuses(log: EventLog) -> dict[str, pl.DataFrame]:
    return {name: by_day(log.deliveries(table), table) for name, table in TABLES.items()}


def _days(statuses: dict[str, pl.DataFrame]) -> pl.DataFrame:
    counted = [
        rows.select("day", what=_counted_as(name)).group_by("day", "what").len() for name, rows in statuses.items()
    ]
    wide = pl.concat(counted).pivot("what", index="day", values="len", aggregate_function="sum")
    columns = [
        pl.col(name).fill_null(0).cast(dtype) if name in wide.columns else pl.lit(0, dtype).alias(name)
        for name, dtype in DAYS_COLUMNS.items()
        if name != "day"
    ]
    return wide.select("day", *columns).sort("day")


def _counted_as(name: str) -> pl.Expr:
    status = pl.col("delivery_status")
    return (
        pl.when(status == REPEAT)
        .then(pl.lit("repeats"))
        .when(status == CONFLICT)
        .then(pl.lit("conflicts"))
        .otherwise(pl.lit(name))
    )


def _conflicts(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    key = pl.concat_str([pl.col(one).cast(pl.String) for one in TABLES[name].key], separator=" ")
    return rows.filter(pl.col("delivery_status") == CONFLICT).select(
        pl.lit(name).alias("table"), key.alias("key"), "day"
    )


def _missing(day: str, logged: Mapping[str, str], ingested: Mapping[str, str]) -> str | None:
    now, then = logged.get(day, NO_VERSION), ingested.get(day)
    if now == NO_VERSION and then in (None, NO_VERSION):
        return SILENT
    if then is None:
        return WAITING
    return None if then == now else CHANGED
