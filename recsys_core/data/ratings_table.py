"""The ratings table: the data set merged with logged ratings, held-back ratings, its digest and statistics."""

import hashlib
from pathlib import Path

import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.config import RatingsReadingConfig
from recsys_core.data.movielens.reading import read_ratings
from recsys_core.data.movielens.sources import locate
from recsys_core.data.schemas import LIKED, MERGED_RATINGS, MERGED_RATINGS_COLUMNS, RATINGS_COLUMNS
from recsys_core.days import start_of
from recsys_core.errors import DataError


def every_rating(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """All ratings, those that a later one of the same user and item replaced included.

    Args:
        base: RATINGS, the shipped data set.
        logged: user_id, item_id, rating, timestamp of newly logged ratings, in any order; may be empty.

    Returns:
        RATINGS columns, sorted by timestamp, user_id, item_id; of ratings of one pair in one second the last counts.
    """
    return _in_order(base, logged.with_columns(event_id=pl.lit(None, pl.String))).select(*RATINGS_COLUMNS)


def merge_ratings(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """The latest rating of each (user, item); at equal times a logged rating wins, because it arrived later.

    Args:
        base: RATINGS, the shipped data set.
        logged: MERGED_RATINGS columns of newly logged ratings, in any order; may be empty.

    Returns:
        MERGED_RATINGS, sorted by timestamp, user_id, item_id.
    """
    latest = _in_order(base, logged).unique(["user_id", "item_id"], keep="last", maintain_order=True)
    return MERGED_RATINGS.validate(latest)


def _in_order(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """MERGED_RATINGS columns of both; a rating comes after those that it replaces."""
    tables = [base.with_columns(event_id=pl.lit(None, pl.String), arrival=0), logged.with_columns(arrival=1)]
    both = pl.concat([table.select(*MERGED_RATINGS_COLUMNS, "arrival") for table in tables])
    # Value and id break ties between two logged ratings of one pair in the same second.
    ordered = both.sort("timestamp", "user_id", "item_id", "arrival", "rating", "event_id")
    return ordered.select(*MERGED_RATINGS_COLUMNS)


def split_holdback(ratings: pl.DataFrame, first_day: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ratings before a day, and those of the day and later, each in the order given.

    Args:
        ratings: has `timestamp`.
        first_day: YYYY-MM-DD, UTC; None holds nothing back.

    Raises:
        DataError: the day does not exist, or there are no ratings before it.
    """
    if first_day is None:
        return ratings, ratings.clear()
    try:
        start = start_of(first_day)
    except DataError as fault:
        raise DataError(f"hold_back_from: {fault}") from fault
    is_later = pl.col("timestamp") >= start
    before, later = ratings.filter(~is_later), ratings.filter(is_later)
    if before.is_empty() and later.height:
        raise DataError(f"hold_back_from: no rating was given before {first_day}: choose a later day")
    return before, later


def read_holdback(dataset: str, raw: Path, config: RatingsReadingConfig) -> pl.DataFrame:
    """RATINGS of a data set that the settings hold back.

    Args:
        dataset: a known data set, or the path of one.
        raw: folder of known data sets.
        config: names the first day that is held back.

    Raises:
        DataError: nothing is held back, or the data set cannot be read.
    """
    if config.hold_back_from is None:
        raise DataError(
            "nothing is held back that could be played: set base_ratings.hold_back_from, as in "
            "recsys_assets/presets/demo.yaml, and run `recsys --settings FILE run` first"
        )
    holdback = split_holdback(read_ratings(locate(dataset, raw), config).table, config.hold_back_from)[1]
    if holdback.is_empty():
        raise DataError(f"no rating was given on {config.hold_back_from} or later: choose an earlier day")
    return holdback


def ratings_digest(ratings: pl.DataFrame, clicks: pl.DataFrame | None = None) -> str:
    """Sixteen hex digits that identify the training data of a model, independent of the order of rows.

    Args:
        ratings: RATINGS columns, one row per user and item.
        clicks: user_id, item_id, timestamp, weight of the clicks used in addition; None and no rows are equivalent.
    """
    ordered = ratings.select(*RATINGS_COLUMNS).sort("user_id", "item_id")
    digest = hashlib.sha256()
    for column in ordered:
        digest.update(column.to_numpy().tobytes())
    if clicks is not None and clicks.height:
        for column in clicks.select("user_id", "item_id", "timestamp", "weight").sort(pl.all()):
            digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()[:16]


def ratings_by_stars(ratings: pl.DataFrame) -> pl.DataFrame:
    """rating, n: number of ratings by stars, fewest stars first; unused values are left out."""
    return ratings.group_by("rating").agg(n=pl.len().cast(pl.Int64)).sort("rating")


def ratings_by_rank(ratings: pl.DataFrame) -> Int64s:
    """(n_items,) number of ratings of each rated movie, in descending order."""
    return ratings.group_by("item_id").len()["len"].cast(pl.Int64).sort(descending=True).to_numpy()


def about_ratings(ratings: pl.DataFrame) -> dict[str, int | float]:
    """Statistics to plot from build to build: n_users, n_items, mean_rating, like_share, density.

    `density` is the share of all pairs of a user and a rated movie that were rated. Without ratings there are only
    n_users and n_items.
    """
    n_users, n_items = ratings["user_id"].n_unique(), ratings["item_id"].n_unique()
    counts: dict[str, int | float] = {"n_users": n_users, "n_items": n_items}
    if ratings.is_empty():
        return counts
    stars = ratings["rating"].cast(pl.Float64).to_numpy()
    return counts | {
        "mean_rating": float(stars.mean()),
        "like_share": float((stars >= LIKED).mean()),
        "density": ratings.height / (n_users * n_items),
    }
