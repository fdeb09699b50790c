"""Which days are missing: of the log, or of what was ingested from it; and days of which less is left than there was.

Rows of the log are only ever added. A day of which it holds less than when the day was ingested has lost some, whatever
keeps the log and whatever took them: a refresh would make the day anew without them, and call that up to date.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from recsys_core.days import days_from, stretches
from recsys_core.feedback.arrivals import NO_VERSION, by_day
from recsys_core.feedback.log import LOSS_ACCEPTED, EventLog, Note
from recsys_core.feedback.records import EVENTS_TABLE

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """A day of which the log holds fewer deliveries than it was ingested from."""

    day: str  # YYYY-MM-DD
    version: str  # of the day's interactions in the lake
    n_ingested: int
    n_held: int

    def __str__(self) -> str:
        return (
            f"of {self.day}, {self.n_ingested:,} deliveries of events were ingested, and the log holds {self.n_held:,} "
            "now: restore it from a copy, or go on without these rows by `recsys log accept-loss`"
        )

    def accepted(self, now: int) -> Note:
        """The note that this loss is in order; `now` in microseconds UTC."""
        return Note(kind=LOSS_ACCEPTED, key=self.day, value=f"{self.version} {self.n_held}", noted_at=now)


def deliveries_by_day(log: EventLog) -> dict[str, int]:
    """How many deliveries of events the log holds of each day, repeats and conflicts included.

    Raises:
        LogError: the log cannot be read.
    """
    days = by_day(log.deliveries(EVENTS_TABLE), EVENTS_TABLE).group_by("day").len()
    return dict(days.iter_rows())


def is_accepted(log: EventLog, loss: Loss) -> bool:
    """Whether somebody said that just this loss is in order; a further one is not.

    Raises:
        LogError: the log cannot be read.
    """
    wanted = loss.accepted(0)
    return any((note.key, note.value) == (wanted.key, wanted.value) for note in log.notes(LOSS_ACCEPTED))


def _missing(day: str, logged: Mapping[str, str], ingested: Mapping[str, str]) -> str | None:
    now, then = logged.get(day, NO_VERSION), ingested.get(day)
    if now == NO_VERSION and then in (None, NO_VERSION):
        return SILENT
    if then is None:
        return WAITING
    return None if then == now else CHANGED
