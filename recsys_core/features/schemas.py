"""Schemas of the tables with features, derived from the declarations."""

from collections.abc import Mapping
from typing import Any

import pandera.polars as pa
import polars as pl

from recsys_core.features.feature import Feature
from recsys_core.features.registry import FEATURES, features_of

ITEM_KEYS: dict[str, pl.DataType] = {
    "slice": pl.String(),
    "item_id": pl.Int64(),
    "genres": pl.List(pl.String()),
    "year": pl.Int32(),
    "n_ratings": pl.Int64(),
    "n_likes": pl.Int64(),
}
"""Columns before the features in `item_features`: the keys, and counts that other stages use."""

USER_KEYS: dict[str, pl.DataType] = {"slice": pl.String(), "user_id": pl.Int64()}

EXAMPLE_KEYS: dict[str, pl.DataType] = {
    "slice": pl.String(),
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "label": pl.Int8(),
    "known_at": pl.Int64(),
}

OF_RATINGS = ("item_like_share", "item_mean_rating", "item_days_known")
"""Features that are missing exactly for items without ratings."""

KEY_TEXTS = {
    "slice": "Name of the slice: the row is as of its cut-off.",
    "item_id": "MovieLens' movieId.",
    "user_id": "The user, as the source numbers them.",
    "genres": "Genres of the movie; an empty list where none are listed.",
    "year": "Year of release; null where the title names none, or one that ratings contradict.",
    "n_ratings": "Ratings of the item so far.",
    "n_likes": "Ratings of four stars and more so far.",
    "label": "1 if the user liked the item later, else 0.",
    "known_at": "First second (UTC) in which the label is final: a training row only of rankers fitted from then on.",
}
"""Descriptions of the keys for readers."""


def item_schema() -> pa.DataFrameSchema:
    """Schema of `item_features`: a row per slice and item."""
    return table_schema("item_features", ITEM_KEYS, features_of("item"), unique=["slice", "item_id"])


def user_schema() -> pa.DataFrameSchema:
    """Schema of `user_features`: a row per slice and user."""
    return table_schema("user_features", USER_KEYS, features_of("user"), unique=["slice", "user_id"])


def example_schema() -> pa.DataFrameSchema:
    """Schema of `ranking_examples`: a row per slice, user and candidate; its features are the ranker's matrix."""
    return table_schema("ranking_examples", EXAMPLE_KEYS, FEATURES, unique=["slice", "user_id", "item_id"])


def table_schema(
    name: str, keys: Mapping[str, pl.DataType], features: tuple[Feature[Any], ...], unique: list[str]
) -> pa.DataFrameSchema:
    """A strict schema: the keys, then the features with their declared ranges, in this order."""
    nullable = {"year"}  # of some movies the title names none
    columns = {
        key: pa.Column(dtype, nullable=key in nullable, description=KEY_TEXTS[key]) for key, dtype in keys.items()
    }
    columns |= {one.name: _column(one) for one in features}
    checks = [_known_where_rated()] if set(OF_RATINGS) <= columns.keys() else []
    return pa.DataFrameSchema(columns, checks=checks, name=name, strict=True, ordered=True, unique=unique)


def _known_where_rated() -> pa.Check:
    """Features that are computed from ratings may be missing only where the item has none."""
    is_known = pl.all_horizontal(pl.col(OF_RATINGS).is_not_null())
    return pa.Check(
        lambda data: data.lazyframe.select((pl.col("item_popularity_share") == 0) | is_known),
        error="lacks what the ratings of an item say",
    )


def _column(one: Feature[Any]) -> pa.Column:
    finite = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()), error="is not finite")
    checks = [finite]
    if one.low is not None:
        checks.append(pa.Check.ge(one.low, error=f"is below {one.low:g}"))
    if one.high is not None:
        checks.append(pa.Check.le(one.high, error=f"is above {one.high:g}"))
    return pa.Column(pl.Float32, checks, nullable=one.may_be_missing, description=one.description)
