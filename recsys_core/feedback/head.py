"""Every day's interactions -> what they say, in two tables: ratings, and clicks. Skips are left out."""

from collections.abc import Mapping

import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.feedback.schemas import INTERACTIONS_COLUMNS

LOGGED_COLUMNS: dict[str, pl.DataType] = {**RATINGS_COLUMNS, "event_id": pl.String()}

CLICKS_COLUMNS: dict[str, pl.DataType] = {
    name: INTERACTIONS_COLUMNS[name] for name in ("user_id", "item_id", "timestamp", "request_id", "event_id")
}


def logged_ratings(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """LOGGED_COLUMNS of every logged rating, sorted by timestamp, user_id, item_id, rating; a pair may stand twice.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    rated = _of_kind(days, "rating").rename({"value": "rating"})
    return rated.select(*LOGGED_COLUMNS).sort("timestamp", "user_id", "item_id", "rating", "event_id")


def logged_clicks(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """CLICKS_COLUMNS of every click, sorted by timestamp, user_id, item_id, event_id; a pair may stand twice.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    clicked = _of_kind(days, "click").select(*CLICKS_COLUMNS)
    return clicked.sort("timestamp", "user_id", "item_id", "event_id")


def _of_kind(days: Mapping[str, pl.DataFrame], kind: str) -> pl.DataFrame:
    tables = [pl.DataFrame(schema=INTERACTIONS_COLUMNS), *days.values()]
    return pl.concat(tables).filter(kind=kind)
