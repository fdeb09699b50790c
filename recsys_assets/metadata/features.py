"""What is worth seeing of the features: columns as the registry declares them, and how often each is missing."""

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


def item_features_metadata(table: pl.DataFrame) -> Metadata:
    """Columns, lineage, gaps."""
    from recsys_core.features.schemas import item_schema

    return feature_table_metadata(table, item_schema(), ITEM_LINEAGE) | missing_metadata(table)


def user_features_metadata(table: pl.DataFrame) -> Metadata:
    """Columns, lineage, gaps."""
    from recsys_core.features.schemas import user_schema

    return feature_table_metadata(table, user_schema(), USER_LINEAGE) | missing_metadata(table)


def missing_metadata(table: pl.DataFrame) -> Metadata:
    """How often a value is undefined: of all features, and of each."""
    from recsys_core.features.missing import missing_shares

    shares = missing_shares(table)
    names, values = shares["feature"].to_list(), shares["share"].to_list()
    return {
        "n_features": shares.height,
        "n_slices": table["slice"].n_unique(),
        "missing_share": sum(values) / len(values),
        "missing": picture(bars(names, values, "share of rows without a value"), height=0.7 + 0.15 * len(names)),
    }
