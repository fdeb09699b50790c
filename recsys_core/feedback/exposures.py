"""Impressions and clicks of users: as tables, and for one user up to this moment.

Seconds count from when a slot was shown, `shown_at`, as in `labels`.
"""

from dataclasses import dataclass

import polars as pl

from recsys_core.days import DAY_S
from recsys_core.feedback.deduplication import FIRST, rows_of
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, REQUESTS_TABLE, LogTable
from recsys_core.feedback.schemas import CLICKS_COLUMNS, IMPRESSIONS_COLUMNS

SHOWN_COLUMNS: dict[str, pl.DataType] = {
    **{name: IMPRESSIONS_COLUMNS[name] for name in ("request_id", "user_id", "item_id")},
    "shown_at": pl.Int64(),
}


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """Impressions and clicks of some users.

    Attributes:
        shown: SHOWN_COLUMNS.
        clicks: CLICKS_COLUMNS.
    """

    shown: pl.DataFrame
    clicks: pl.DataFrame

    @classmethod
    def nothing(cls) -> "Exposed":
        """No impressions and no clicks."""
        return cls(shown=pl.DataFrame(schema=SHOWN_COLUMNS), clicks=pl.DataFrame(schema=CLICKS_COLUMNS))


def shown_slots(impressions: pl.DataFrame) -> pl.DataFrame:
    """SHOWN_COLUMNS of IMPRESSIONS, in their order; slots of unknown users are left out."""
    known = impressions.filter(pl.col("user_id").is_not_null())
    return known.with_columns(shown_at=pl.col("served_at") // 1_000_000).select(*SHOWN_COLUMNS)


def exposed_so_far(log: EventLog, user_id: int, since: int, future_tolerance_s: int) -> Exposed:
    """Impressions and clicks of one user from a second on, as far as the log holds them now.

    Days that are not closed count too. As everywhere, the first arrival of a key counts, a slot must belong to a logged
    request, and events from the future are ignored.

    Args:
        log: the event log.
        user_id: the user.
        since: seconds UTC.
        future_tolerance_s: how much later than its arrival an event may be dated.

    Raises:
        LogError: the log is damaged or cannot be read.
    """

    def first(table: LogTable, arrived_since: int) -> pl.DataFrame:
        return rows_of(log.read_user(table, user_id, arrived_since), table).filter(delivery_status=FIRST)

    impressions, requests = (first(table, since) for table in (IMPRESSIONS_TABLE, REQUESTS_TABLE))
    # An event may arrive before its own timestamp, by the tolerance, which is a day at most.
    events = first(EVENTS_TABLE, since - DAY_S).filter(pl.col("timestamp") >= since, kind="click")
    possible = pl.col("timestamp") <= pl.col("received_at") + future_tolerance_s
    return Exposed(
        shown=shown_slots(impressions.join(requests, on="request_id", how="semi")).sort("shown_at", "request_id"),
        clicks=events.filter(possible).select(*CLICKS_COLUMNS).sort("timestamp", "event_id"),
    )
