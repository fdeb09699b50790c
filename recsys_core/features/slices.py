"""The feature tables of every slice of time: one row per (slice, item) and per (slice, user)."""

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings, known_ratings
from recsys_core.features.items import item_features
from recsys_core.features.users import user_features


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
    return pl.concat(
        [
            _named(name, user_features(known_ratings(ratings, splits, name), of_slice(items, name)))
            for name in splits.names
        ]
    )


def of_slice(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """One slice's rows, in their order, without the slice's name."""
    return table.filter(slice=name).drop("slice")


def _named(name: str, table: pl.DataFrame) -> pl.DataFrame:
    return table.select(pl.lit(name).alias("slice"), pl.all())
