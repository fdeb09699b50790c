"""What was known of each item at a moment."""

import polars as pl

from recsys_core.data.schemas import LIKED

DAY = 86_400
"""Seconds."""


def item_features(ratings: pl.DataFrame, movies: pl.DataFrame, as_of: int) -> pl.DataFrame:
    """One row per item that was rated strictly before `as_of`; later ratings change nothing.

    Args:
        ratings: RATINGS; rows at or after `as_of` are ignored.
        movies: MOVIES; an item that it does not name keeps its numbers and gets no genres and no year.
        as_of: seconds UTC.

    Returns:
        item_id, genres, year, n_ratings, n_likes, then the item features of the contract; sorted by item_id.
    """
    known = ratings.filter(pl.col("timestamp") < as_of)
    counted = known.group_by("item_id").agg(
        n_ratings=pl.len().cast(pl.Int64),  # not the sum of a literal, which is 1 in every group
        n_likes=_count(pl.col("rating") >= LIKED),
        n_recent=_count(pl.col("timestamp") >= as_of - 30 * DAY),
        n_year=_count(pl.col("timestamp") >= as_of - 365 * DAY),
        # Stars are summed as half-star integers and divided once: float sums depend on the order of the rows.
        half_stars=(pl.col("rating") * 2).round().cast(pl.Int64).sum(),
        first_at=pl.col("timestamp").min(),
    )
    described = counted.join(movies.select("item_id", "genres", "year"), on="item_id", how="left")
    request_year = pl.from_epoch(pl.lit(as_of), time_unit="s").dt.year()
    return described.sort("item_id").select(
        "item_id",
        pl.col("genres").fill_null([]),
        "year",
        "n_ratings",
        "n_likes",
        item_popularity_share=_share(pl.col("n_ratings"), pl.col("n_ratings").sum()),
        item_recent_share=_share(pl.col("n_recent"), pl.col("n_recent").sum()),
        item_year_share=_share(pl.col("n_year"), pl.col("n_year").sum()),
        item_like_share=_share(pl.col("n_likes"), pl.col("n_ratings")),
        item_mean_rating=_share(pl.col("half_stars"), 2 * pl.col("n_ratings")),
        item_days_known=((as_of - pl.col("first_at")) / DAY).cast(pl.Float32),
        item_age_years=(request_year - pl.col("year")).cast(pl.Float32),
    )


def _count(condition: pl.Expr) -> pl.Expr:
    # polars counts in UInt32, which wraps around silently in later sums and differences.
    return condition.cast(pl.Int64).sum()


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """Part / whole as Float32; 0 of 0 is 0, because nothing happened in the window."""
    return pl.when(whole > 0).then(part / whole).otherwise(0.0).cast(pl.Float32)
