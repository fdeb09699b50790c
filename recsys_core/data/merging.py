"""Base ratings and newly logged interactions -> one table of ratings."""

import polars as pl

from recsys_core.data.schemas import MERGED_RATINGS, MERGED_RATINGS_COLUMNS, RATINGS_COLUMNS


def every_rating(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """All ratings, also those that a later one of the same user and item replaced: what was known at any moment.

    Args:
        base: RATINGS, the shipped data set.
        logged: user_id, item_id, rating, timestamp of newly logged ratings, in any order; may be empty.

    Returns:
        RATINGS columns, sorted by timestamp, user_id, item_id; of a pair's ratings in one second the last counts.
    """
    return _in_order(base, logged.with_columns(event_id=pl.lit(None, pl.String))).select(*RATINGS_COLUMNS)


def merge_ratings(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """The latest rating of each (user, item); equal times are settled for the log, which arrived later.

    Args:
        base: RATINGS, the shipped data set.
        logged: MERGED_RATINGS columns of newly logged ratings, in any order; may be empty.

    Returns:
        MERGED_RATINGS, sorted by timestamp, user_id, item_id.
    """
    latest = _in_order(base, logged).unique(["user_id", "item_id"], keep="last", maintain_order=True)
    return MERGED_RATINGS.validate(latest)


def _in_order(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """MERGED_RATINGS columns of both, a pair's rating that counts after those that it replaces."""
    tables = [base.with_columns(event_id=pl.lit(None, pl.String), arrival=0), logged.with_columns(arrival=1)]
    both = pl.concat([table.select(*MERGED_RATINGS_COLUMNS, "arrival") for table in tables])
    # Two logged ratings of one pair in the same second leave nothing but their value and id to settle the matter.
    ordered = both.sort("timestamp", "user_id", "item_id", "arrival", "rating", "event_id")
    return ordered.select(*MERGED_RATINGS_COLUMNS)
