"""Every day's interactions -> the ratings among them, in one table."""

from collections.abc import Mapping

import polars as pl

from recsys_core.data.schemas import RATINGS_COLUMNS


def log_head(days: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """RATINGS columns of every logged rating, sorted by timestamp, user_id, item_id, rating; a pair may stand twice.

    Clicks and skips are left out: what they say about taste needs a weight that is not settled here.

    Args:
        days: INTERACTIONS by day of arrival; may be empty.
    """
    columns = ["user_id", "item_id", pl.col("value").alias("rating"), "timestamp"]
    rated = [day.filter(pl.col("kind") == "rating").select(columns) for day in days.values()]
    table = pl.concat(rated) if rated else pl.DataFrame(schema=RATINGS_COLUMNS)
    return table.select(*RATINGS_COLUMNS).sort("timestamp", "user_id", "item_id", "rating")
