"""Base ratings and newly logged interactions -> one table of ratings."""

import polars as pl

from recsys_core.data.schemas import RATINGS, RATINGS_COLUMNS


def every_rating(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """All ratings, also those that a later one of the same user and item replaced: what was known at any moment.

    Args:
        base: RATINGS, the shipped data set.
        logged: user_id, item_id, rating, timestamp of newly logged ratings, in any order; may be empty.

    Returns:
        RATINGS columns, sorted by timestamp, user_id, item_id; of a pair's ratings in one second the last counts.
    """
    both = pl.concat(
        [base.select(*RATINGS_COLUMNS).with_columns(arrival=0), logged.select(*RATINGS_COLUMNS).with_columns(arrival=1)]
    )
    # Two logged ratings of one pair in the same second leave nothing but their value to settle the matter.
    return both.sort("timestamp", "user_id", "item_id", "arrival", "rating").select(*RATINGS_COLUMNS)


def merge_ratings(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """The latest rating of each (user, item); equal times are settled for the log, which arrived later.

    Args:
        base: RATINGS, the shipped data set.
        logged: user_id, item_id, rating, timestamp of newly logged ratings, in any order; may be empty.

    Returns:
        RATINGS, sorted by timestamp, user_id, item_id.
    """
    latest = every_rating(base, logged).unique(["user_id", "item_id"], keep="last", maintain_order=True)
    return RATINGS.validate(latest)
