"""What the event log holds, and whether it is as it was written."""

from dataclasses import dataclass

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback.arrivals import CONFLICT, FIRST, REPEAT, by_day
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, TABLES

DAYS_COLUMNS: dict[str, pl.DataType] = {
    "day": pl.String(),
    "requests": pl.Int64(),
    "impressions": pl.Int64(),
    "events": pl.Int64(),
    "repeats": pl.Int64(),
    "conflicts": pl.Int64(),
}

CONFLICTS_COLUMNS: dict[str, pl.DataType] = {"table": pl.String(), "key": pl.String(), "day": pl.String()}


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What a log holds.

    `days` counts, per day of arrival, the rows of each table that count, and the repeats and conflicts of all three
    together: rows of a key that had arrived before, alike or with other values.
    """

    days: pl.DataFrame  # DAYS_COLUMNS, days ascending
    n_quarantined: int


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a check of everything found; `damage` is told in sentences, and only where there is none the rest is known.

    `conflicts` names the keys that were used for two things. `n_orphans` counts impressions of an unknown request.
    """

    damage: list[str]
    conflicts: pl.DataFrame  # CONFLICTS_COLUMNS, sorted
    n_orphans: int
    n_days: int


def stats(log: EventLog) -> Stats:
    """Count what a log holds.

    Raises:
        LogError: it cannot be read.
    """
    return Stats(days=_days(_standings(log)), n_quarantined=len(log.quarantined()))


def verify(log: EventLog) -> Verified:
    """Read every row and compare it with its digest; look for keys that were used twice, and for lost requests."""
    damage = log.damage() or _unreadable(log)
    if damage:
        return Verified(damage=damage, conflicts=pl.DataFrame(schema=CONFLICTS_COLUMNS), n_orphans=0, n_days=0)
    standings = _standings(log)
    impressions, requests = standings[IMPRESSIONS_TABLE.name], standings[REQUESTS_TABLE.name]
    orphans = impressions.filter(pl.col("standing") == FIRST).join(requests, on="request_id", how="anti")
    return Verified(
        damage=[],
        conflicts=pl.concat([_conflicts(name, rows) for name, rows in standings.items()]).sort("table", "key", "day"),
        n_orphans=orphans.height,
        n_days=_days(standings).height,
    )


def _unreadable(log: EventLog) -> list[str]:
    """Why what has no digest, keys with their arrivals and lines in quarantine, cannot be read."""
    try:
        log.quarantined()
        for table in TABLES.values():
            log.deliveries(table)
    except LogError as error:
        return [str(error)]
    return []


def _standings(log: EventLog) -> dict[str, pl.DataFrame]:
    return {name: by_day(log.deliveries(table), table) for name, table in TABLES.items()}


def _days(standings: dict[str, pl.DataFrame]) -> pl.DataFrame:
    counted = [
        rows.select("day", what=_counted_as(name)).group_by("day", "what").len() for name, rows in standings.items()
    ]
    wide = pl.concat(counted).pivot("what", index="day", values="len", aggregate_function="sum")
    columns = [
        pl.col(name).fill_null(0).cast(dtype) if name in wide.columns else pl.lit(0, dtype).alias(name)
        for name, dtype in DAYS_COLUMNS.items()
        if name != "day"
    ]
    return wide.select("day", *columns).sort("day")


def _counted_as(name: str) -> pl.Expr:
    standing = pl.col("standing")
    return (
        pl.when(standing == REPEAT)
        .then(pl.lit("repeats"))
        .when(standing == CONFLICT)
        .then(pl.lit("conflicts"))
        .otherwise(pl.lit(name))
    )


def _conflicts(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    key = pl.concat_str([pl.col(one).cast(pl.String) for one in TABLES[name].key], separator=" ")
    return rows.filter(pl.col("standing") == CONFLICT).select(pl.lit(name).alias("table"), key.alias("key"), "day")
