"""Which days are missing: of the log, or of what was ingested from it."""

from collections.abc import Mapping

import polars as pl

from recsys_core.days import days_from, stretches
from recsys_core.feedback.arrivals import NO_VERSION

WAITING = "not ingested"
CHANGED = "changed since it was ingested"
SILENT = "nothing arrived"

GAPS_COLUMNS: dict[str, pl.DataType] = {
    "first": pl.String(),
    "last": pl.String(),
    "n_days": pl.Int64(),
    "what": pl.String(),
}


def gaps(logged: Mapping[str, str], ingested: Mapping[str, str], closed_until: str) -> pl.DataFrame:
    """Stretches of closed days on which something is missing, in order.

    A day on which nothing arrived may be right, or the sign of a writer that was down: only its owner can tell. The
    days from the first to the last that has a log or was ingested are looked at, and no later one than the last closed.

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


def _missing(day: str, logged: Mapping[str, str], ingested: Mapping[str, str]) -> str | None:
    now, then = logged.get(day, NO_VERSION), ingested.get(day)
    if now == NO_VERSION and then in (None, NO_VERSION):
        return SILENT
    if then is None:
        return WAITING
    return None if then == now else CHANGED
