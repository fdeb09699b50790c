"""What was known of each user when asking: numbers over the user's own history."""

import polars as pl

from recsys_core.data.schemas import LIKED


def user_features(context: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """One row per user of `context`, which must hold nothing at or after the request.

    Args:
        context: user_id, item_id, rating, timestamp: all that is known of the users at the request.
        items: `item_features` as of the cut-off; an item that it lacks counts with popularity 0 and no year.

    Returns:
        user_id, then the user features of the contract; sorted by user_id. A user without likes has no mean liked
        year: null, which the matrix turns into NaN.
    """
    total = max(int(items["n_ratings"].sum()), 1)
    joined = context.join(items.select("item_id", "n_ratings", "year"), on="item_id", how="left")
    is_like = pl.col("rating") >= LIKED
    liked_years = pl.col("year").filter(is_like).drop_nulls().cast(pl.Int64)
    n = pl.len().cast(pl.Int64)
    # Every sum is one of integers, divided once: then no order of the rows can change a bit of the result.
    half_stars = (pl.col("rating") * 2).round().cast(pl.Int64).sum()
    return (
        joined.group_by("user_id")
        .agg(
            user_n_ratings=n.cast(pl.Float32),
            user_like_share=(is_like.cast(pl.Int64).sum() / n).cast(pl.Float32),
            user_mean_rating=(half_stars / (2 * n)).cast(pl.Float32),
            user_mean_popularity=(pl.col("n_ratings").fill_null(0).sum() / (n * total)).cast(pl.Float32),
            user_mean_liked_year=(
                pl.when(liked_years.len() > 0).then(liked_years.sum() / liked_years.len().cast(pl.Int64))
            ).cast(pl.Float32),
        )
        .sort("user_id")
    )
