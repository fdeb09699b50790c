"""What must hold of the feature tables: what the features declare."""

from typing import TYPE_CHECKING

from recsys_assets.checks.schema_checks import schema_check

if TYPE_CHECKING:
    import pandera.polars as pa


@schema_check("item_features")
def item_features_keep_their_schema() -> "pa.DataFrameSchema":
    """Every item feature lies within its declared range, and is missing only where that is declared."""
    from recsys_core.features.schemas import item_schema

    return item_schema()


@schema_check("user_features")
def user_features_keep_their_schema() -> "pa.DataFrameSchema":
    """Every user feature lies within its declared range, and is missing only where that is declared."""
    from recsys_core.features.schemas import user_schema

    return user_schema()
