"""What must hold of the feature tables: what the features declare."""

import dagster as dg

from recsys_assets.resources import LakeResource
from recsys_assets.verdicts import keeps_schema


@dg.asset_check(asset="item_features", blocking=True)
def item_features_keep_their_schema(lake: LakeResource) -> dg.AssetCheckResult:
    """Every item feature lies within its declared range, and is missing only where that is declared."""
    from recsys_core.features.schemas import item_schema

    return keeps_schema(lake, "item_features", item_schema())


@dg.asset_check(asset="user_features", blocking=True)
def user_features_keep_their_schema(lake: LakeResource) -> dg.AssetCheckResult:
    """Every user feature lies within its declared range, and is missing only where that is declared."""
    from recsys_core.features.schemas import user_schema

    return keeps_schema(lake, "user_features", user_schema())
