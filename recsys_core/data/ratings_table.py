"""The one table of ratings: base and logged ratings merged, recent ones held back, its digest and its figures."""

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
    """All ratings, also those that a later one of the same user and item replaced: what was known at any moment.

    Args:
        base: RATINGS, the shipped data set.
        logged: user_id, item_id, rating, timestamp of newly logged ratings, in any order; may be empty.

    Returns:
        RATINGS columns, sorted by timestamp, user_id, item_id; of a pair's ratings in one second the last counts.
    """
    return _in_order(base, logged.with_columns(event_id=pl.lit(None, pl.String))).select(*RATINGS_COLUMNS)


def merge_ratings(base: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """The latest rating of each (user, item); at equal times a logged rating wins, since it arrived later.

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
    # Value and id decide between two logged ratings of one pair in the same second; nothing else could.
    ordered = both.sort("timestamp", "user_id", "item_id", "arrival", "rating", "event_id")
    return ordered.select(*MERGED_RATINGS_COLUMNS)


def split_holdback(ratings: pl.DataFrame, first_day: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ratings before a day, and those of the day and later, each in the order given.

    Args:
        ratings: has `timestamp`.
        first_day: YYYY-MM-DD, UTC; None holds nothing back.

    Raises:
        DataError: there is no such day, or nothing lies before it.
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
        raw: where known data sets lie.
        config: says from which day on ratings are held back.

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
    """Sixteen hex digits that name the training data of a model, whatever the order of the rows.

    Args:
        ratings: RATINGS columns, one row per user and item.
        clicks: user_id, item_id, timestamp, weight of the clicks used beside them; None and no rows are the same.
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
    """rating, n: how often each number of stars was given, fewest stars first; those never given are left out."""
    return ratings.group_by("rating").agg(n=pl.len().cast(pl.Int64)).sort("rating")


def ratings_by_rank(ratings: pl.DataFrame) -> Int64s:
    """(n_items,) ratings of each rated movie, the most often rated first."""
    return ratings.group_by("item_id").len()["len"].cast(pl.Int64).sort(descending=True).to_numpy()


def about_ratings(ratings: pl.DataFrame) -> dict[str, int | float]:
    """Figures that are charted from build to build: n_users, n_items, mean_rating, like_share, density.

    `density` is the share of all pairs of a user and a rated movie that were rated. Without ratings, only n_users and
    n_items are there.
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
