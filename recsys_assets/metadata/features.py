"""Metadata of the features stage: columns as the registry declares them, and how often each is missing."""

import polars as pl

from recsys_assets.metadata.pictures import bars, picture
from recsys_assets.metadata.tables import Lineage, Metadata, feature_table_metadata

ITEM_LINEAGE: Lineage = {
    "slice": ("splits.cutoffs.slice",),
    "item_id": ("ratings.item_id",),
    "genres": ("movies.genres",),
    "year": ("movies.year",),
    "n_ratings": ("ratings.item_id",),
    "n_likes": ("ratings.rating",),
}

USER_LINEAGE: Lineage = {"slice": ("splits.users.slice",), "user_id": ("splits.users.user_id",)}

MAX_PICTURED = 12
"""Features in the picture, most often missing first; the others are rarely missing."""


def item_features_metadata(table: pl.DataFrame) -> Metadata:
    """Columns, lineage, and missing values."""
    from recsys_core.features.schemas import item_schema

    columns = feature_table_metadata(table, item_schema(), ITEM_LINEAGE)
    return {**columns, "n_slices": table["slice"].n_unique(), **missing_metadata(table)}


def user_features_metadata(table: pl.DataFrame) -> Metadata:
    """Columns, lineage, and missing values."""
    from recsys_core.features.schemas import user_schema

    columns = feature_table_metadata(table, user_schema(), USER_LINEAGE)
    return {**columns, "n_slices": table["slice"].n_unique(), **missing_metadata(table)}


def missing_metadata(table: pl.DataFrame) -> Metadata:
    """How often a value is undefined: over all features, and for each."""
    from recsys_core.features.assembler import missing_shares

    shares = missing_shares(table)
    worst = shares.head(MAX_PICTURED)
    values = worst["share"].to_list()
    drawn = bars(
        worst["feature"].to_list(), values, "share of rows without a value", texts=[f"{x:.3%}" for x in values]
    )
    return {
        "n_features": shares.height,
        "missing_share": shares["share"].mean(),
        "missing": picture(drawn, height=0.8 + 0.15 * worst.height),
    }
