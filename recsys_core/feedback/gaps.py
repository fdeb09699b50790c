"""Which days are missing: of the log, or of what was ingested from it."""

import datetime
from collections.abc import Mapping

import polars as pl

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
    stretches: list[tuple[str, str, int, str]] = []
    for day in _between(known[0], known[-1]) if known else []:
        what = _missing(day, logged, ingested)
        if what is None:
            continue
        if stretches and stretches[-1][3] == what and _next(stretches[-1][1]) == day:
            first, _, n_days, _ = stretches.pop()
            stretches.append((first, day, n_days + 1, what))
        else:
            stretches.append((day, day, 1, what))
    return pl.DataFrame(stretches, schema=GAPS_COLUMNS, orient="row")


def _missing(day: str, logged: Mapping[str, str], ingested: Mapping[str, str]) -> str | None:
    now, then = logged.get(day, NO_VERSION), ingested.get(day)
    if now == NO_VERSION and then in (None, NO_VERSION):
        return SILENT
    if then is None:
        return WAITING
    return None if then == now else CHANGED


def _between(first: str, last: str) -> list[str]:
    start, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    return [(start + datetime.timedelta(days=n)).isoformat() for n in range((end - start).days + 1)]


def _next(day: str) -> str:
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=1)).isoformat()
