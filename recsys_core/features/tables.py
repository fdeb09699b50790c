"""The feature tables of items and of users: as of any time, and concatenated for all slices."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from recsys_core.arrays import Int64s
from recsys_core.data.schemas import PREVIEW_YEARS
from recsys_core.data.splits import Splits, fit_ratings, known_ratings
from recsys_core.features import items as of_items
from recsys_core.features import users as of_users
from recsys_core.features.feature import declared_in
from recsys_core.features.point_in_time import item_counts, user_sums

NEW_YEARS = 2
"""A movie without ratings counts as new in the calendar year (UTC) of its release and in the next."""


@dataclass(frozen=True, kw_only=True)
class SliceFeatures:
    """Both feature tables, of every slice."""

    items: pl.DataFrame  # item_features_by_slice
    users: pl.DataFrame  # user_features_by_slice


def item_features(ratings: pl.DataFrame, movies: pl.DataFrame, as_of: int) -> pl.DataFrame:
    """One row per item that was rated strictly before `as_of`, or is new then; later ratings have no effect.

    Args:
        ratings: RATINGS; rows at or after `as_of` are ignored.
        movies: MOVIES; an item without a row has features but no genres and no year. A year of release that a
            rating before `as_of` contradicts counts as unknown.
        as_of: seconds UTC.

    Returns:
        item_id, genres, year, n_ratings, n_likes, then the item features; sorted by item_id. A missing value is null.
    """
    known = ratings.filter(pl.col("timestamp") < as_of)
    ids = pl.concat([known["item_id"], new_releases(movies, as_of)]).unique().sort()
    items = pl.DataFrame({"item_id": ids}, schema={"item_id": pl.Int64})
    latest = _year_of(as_of) + PREVIEW_YEARS
    dated = movies.select("item_id", "genres", pl.when(pl.col("year") <= latest).then("year"))
    described = items.join(dated, on="item_id", how="left", maintain_order="left")
    years = described["year"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    counts = item_counts(known, described["item_id"].to_numpy(), np.full(described.height, as_of), years)
    return described.select(
        "item_id",
        pl.col("genres").fill_null([]),
        "year",
        n_ratings=pl.Series(counts.n_ratings),
        n_likes=pl.Series(counts.n_likes),
        **{one.name: pl.Series(one(counts)).fill_nan(None) for one in declared_in(of_items)},
    )


def new_releases(movies: pl.DataFrame, as_of: int) -> pl.Series:
    """item_id of the movies (MOVIES) that came out in the year of a time (seconds UTC) or in the year before."""
    year = _year_of(as_of)
    return movies.filter(pl.col("year").is_between(year - NEW_YEARS + 1, year))["item_id"]


def user_features(ratings: pl.DataFrame, items: pl.DataFrame, user_ids: Int64s, times: Int64s) -> pl.DataFrame:
    """One row per (user, time), from the user's ratings strictly before it.

    Args:
        ratings: RATINGS; rows at or after the time have no effect.
        items: `item_features` as of the cut-off; ratings of items without a row are not counted.
        user_ids: (n,).
        times: (n,) seconds UTC.

    Returns:
        user_id, then the user features, in the given order. A missing value is null.
    """
    sums = user_sums(ratings, items, user_ids, times)
    values = {one.name: pl.Series(one(sums)).fill_nan(None) for one in declared_in(of_users)}
    return pl.DataFrame({"user_id": user_ids, **values}, schema_overrides={"user_id": pl.Int64})


def item_features_by_slice(ratings: pl.DataFrame, movies: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """`item_features` as of each slice's cut-off, with the slice's name as the first column.

    They count only the ratings that the slice's models may see: a held-out like would raise the popularity of its item.
    """
    return pl.concat(
        [
            _named(name, item_features(fit_ratings(ratings, splits, name), movies, splits.fit_end(name)))
            for name in splits.names
        ]
    )


def user_features_by_slice(ratings: pl.DataFrame, items: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """`user_features` of each slice's users as of their request, with the slice's name as the first column.

    Args:
        ratings: RATINGS.
        items: `item_features_by_slice`.
        splits: users and request times of each slice.
    """
    parts = []
    for name in splits.names:
        known, asked = known_ratings(ratings, splits, name), splits.requests(name)
        user_ids, times = asked["user_id"].to_numpy(), asked["requested_at"].to_numpy()
        parts.append(_named(name, user_features(known, of_slice(items, name), user_ids, times)))
    return pl.concat(parts)


def of_slice(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """One slice's rows, in their order, without the slice's name."""
    return table.filter(slice=name).drop("slice")


def _named(name: str, table: pl.DataFrame) -> pl.DataFrame:
    return table.select(pl.lit(name).alias("slice"), pl.all())


def _year_of(second: int) -> int:
    return datetime.fromtimestamp(second, UTC).year
