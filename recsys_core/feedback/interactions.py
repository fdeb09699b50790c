"""A day of the event log -> the day's interactions table.

The day is that of *arrival*, UTC, so that a closed day does not change; an event that arrives late keeps its own,
earlier time. `deduplication` decides which deliveries count.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from recsys_core.data.fields import BEYOND_MAX_ID
from recsys_core.data.schemas import MAX_ID
from recsys_core.days import DAY_S, start_of
from recsys_core.errors import DataError
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.feedback.deduplication import CONFLICT, FIRST, day_versions, rows_of, version_of
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import EVENTS_TABLE
from recsys_core.feedback.schemas import INTERACTIONS, INTERACTIONS_COLUMNS, REJECTED_EVENTS
from recsys_core.feedback.values import KINDS

DEFAULT = InteractionsConfig()
HOUR_S = 3_600
N_HOURS = DAY_S // HOUR_S
SORTED_BY = ("timestamp", "user_id", "item_id", "event_id")


@dataclass(frozen=True, kw_only=True)
class DayRead:
    """One day's interactions, the rejected events, and the number of each kind.

    `counts` holds deliveries, accepted, rejected, repeats (of an event that arrived before, on that day or an earlier
    one) and late (accepted ones which happened before the day); accepted + rejected + repeats == deliveries.
    """

    interactions: pl.DataFrame  # INTERACTIONS
    rejected: pl.DataFrame  # REJECTED_EVENTS
    counts: dict[str, int]
    version: str  # of the rows that were read, as `deduplication.version_of` gives it


def read_day(log: EventLog, day: str, config: InteractionsConfig = DEFAULT) -> DayRead:
    """The interactions that arrived on one day; an empty table for a day without any.

    The order of the events and the files that hold them change nothing. Of an event that was delivered more than once,
    on whatever days, the first arrival is kept.

    Args:
        log: the event log.
        day: YYYY-MM-DD.
        config: how strictly to read.

    Raises:
        DataError: `day` is not a date, or too many events are rejected.
        LogError: the log is damaged or cannot be read.
    """
    start = start_of(day)
    rows = rows_of(log.read_day(EVENTS_TABLE, start), EVENTS_TABLE)
    judged = rows.with_columns(reason=_reason(config))
    accepted = judged.filter(pl.col("delivery_status") == FIRST, pl.col("reason").is_null())
    rejected = judged.filter(pl.col("reason").is_not_null())
    counts = {
        "deliveries": rows.height,
        "accepted": accepted.height,
        "rejected": rejected.height,
        "repeats": rows.height - accepted.height - rejected.height,
        "late": accepted.filter(pl.col("timestamp") < start).height,
    }
    _check_bad_share(day, rejected, counts, config)
    return DayRead(
        interactions=INTERACTIONS.validate(accepted.select(*INTERACTIONS_COLUMNS).sort(SORTED_BY)),
        rejected=REJECTED_EVENTS.validate(rejected.sort(*SORTED_BY, "digest").select(*INTERACTIONS_COLUMNS, "reason")),
        counts=counts,
        version=version_of(rows, EVENTS_TABLE),
    )


def read_days(
    log: EventLog, days: Iterable[str], config: InteractionsConfig = DEFAULT
) -> Iterator[tuple[str, DayRead]]:
    """Each day and its interactions, one after the other; a day is read when the previous one has been consumed.

    The arguments and errors are those of `read_day`.
    """
    log.deliveries(EVENTS_TABLE)  # refuses a log that has lost rows, of whatever day
    for day in days:
        yield day, read_day(log, day, config)


def versions_of_days(log: EventLog) -> dict[str, str]:
    """The version of every day that has a log, days ascending, read by one query per file.

    Raises:
        LogError: the log cannot be read.
    """
    return day_versions(log, EVENTS_TABLE)


def arrivals_by_hour(interactions: pl.DataFrame) -> pl.DataFrame:
    """hour, kind, n of one day's INTERACTIONS: every hour (UTC) and every kind, those without events included."""
    hour = (pl.col("received_at") % DAY_S // HOUR_S).alias("hour")
    counted = interactions.group_by(hour, "kind").agg(n=pl.len().cast(pl.Int64))
    every = pl.DataFrame({"hour": range(N_HOURS)}, schema={"hour": pl.Int64}).join(
        pl.DataFrame({"kind": KINDS}), how="cross"
    )
    return every.join(counted, on=["hour", "kind"], how="left", maintain_order="left").fill_null(0)


def arrivals_by_day(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """day, kind, n of INTERACTIONS by day of arrival (YYYY-MM-DD): every given day and every kind, days ascending.

    A day that was not ingested is missing; a day without events has zeros.
    """
    rows = []
    for day, interactions in sorted(days.items()):
        counted = dict(interactions.group_by("kind").len().iter_rows())
        rows += [(day, kind, counted.get(kind, 0)) for kind in KINDS]
    return pl.DataFrame(rows, schema={"day": pl.String, "kind": pl.String, "n": pl.Int64}, orient="row")


def _reason(config: InteractionsConfig) -> pl.Expr:
    """The reason for which a row is rejected; null where it is accepted."""
    latest = pl.col("received_at") + config.future_tolerance_s
    return (
        pl.when(pl.col("delivery_status") == CONFLICT)
        .then(pl.lit("another event of this id arrived first"))
        .when(pl.col("delivery_status") == FIRST, pl.col("timestamp") > latest)
        .then(pl.lit("from the future"))
        .when(pl.col("delivery_status") == FIRST, pl.max_horizontal("user_id", "item_id") > MAX_ID)
        .then(pl.lit(BEYOND_MAX_ID))  # a log of an earlier version may hold such ids
    )


def _check_bad_share(day: str, rejected: pl.DataFrame, counts: dict[str, int], config: InteractionsConfig) -> None:
    if counts["rejected"] <= config.max_bad_share * counts["deliveries"]:
        return
    first = rejected.sort(*SORTED_BY, "digest").row(0, named=True)
    raise DataError(
        f"{day}: {counts['rejected']:,} of {counts['deliveries']:,} events are rejected, above the "
        f"{config.max_bad_share:.1%} allowed; the first is {first['event_id']!r}: {first['reason']}. "
        f"Correct the writer of the log, or raise max_bad_share if these events may be left out."
    )
