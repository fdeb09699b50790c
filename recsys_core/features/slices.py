"""The feature tables of every slice of time: one row per (slice, item) and per (slice, user)."""

from dataclasses import dataclass

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings, known_ratings
from recsys_core.features.tables import item_features, user_features


@dataclass(frozen=True, kw_only=True)
class SliceFeatures:
    """Both feature tables of every slice."""

    items: pl.DataFrame  # item_features_by_slice
    users: pl.DataFrame  # user_features_by_slice


def item_features_by_slice(ratings: pl.DataFrame, movies: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """`item_features` as of each slice's cut-off, with the slice's name in front.

    They count what the slice's models may see and no more: a held-out like would raise the popularity of its item.
    """
    return pl.concat(
        [
            _named(name, item_features(fit_ratings(ratings, splits, name), movies, splits.fit_end(name)))
            for name in splits.names
        ]
    )


def user_features_by_slice(ratings: pl.DataFrame, items: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """`user_features` of each slice's users as of their request, with the slice's name in front.

    Args:
        ratings: RATINGS.
        items: `item_features_by_slice`.
        splits: who is evaluated when, and what they showed before.
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
