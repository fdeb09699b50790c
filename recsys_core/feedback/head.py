"""Every day's interactions -> what they say, in two tables: ratings, and clicks. Skips are left out."""

from collections.abc import Mapping

import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.feedback.derived import CLICKS, LOGGED
from recsys_core.feedback.schemas import INTERACTIONS_COLUMNS

LOGGED_COLUMNS: dict[str, pl.DataType] = {
    **RATINGS_COLUMNS,
    **{name: INTERACTIONS_COLUMNS[name] for name in ("event_id", "received_at")},
}

CLICKS_COLUMNS: dict[str, pl.DataType] = {
    name: INTERACTIONS_COLUMNS[name]
    for name in ("user_id", "item_id", "timestamp", "request_id", "event_id", "received_at")
}


def logged_ratings(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """LOGGED of every logged rating, sorted by timestamp, user_id, item_id, rating; a pair may stand twice.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    rated = _of_kind(days, "rating").rename({"value": "rating"})
    return LOGGED.validate(rated.select(*LOGGED_COLUMNS).sort("timestamp", "user_id", "item_id", "rating", "event_id"))


def logged_clicks(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """CLICKS of every click, sorted by timestamp, user_id, item_id, event_id; a pair may stand twice.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    clicked = _of_kind(days, "click").select(*CLICKS_COLUMNS)
    return CLICKS.validate(clicked.sort("timestamp", "user_id", "item_id", "event_id"))


def _of_kind(days: Mapping[str, pl.DataFrame], kind: str) -> pl.DataFrame:
    tables = [pl.DataFrame(schema=INTERACTIONS_COLUMNS), *days.values()]
    # While one day is ingested anew and another is not yet, both may hold an event: its first arrival counts.
    arrived = pl.concat(tables).sort("received_at", maintain_order=True)
    return arrived.unique("event_id", keep="first", maintain_order=True).filter(kind=kind)
