"""What must hold of the feature tables: what the features declare."""

import dagster as dg

from recsys_assets.resources import LakeResource


@dg.asset_check(asset="item_features", blocking=True)
def item_features_keep_their_schema(lake: LakeResource) -> dg.AssetCheckResult:
    """Every item feature lies within its declared range, and is missing only where that is declared."""
    from recsys_core.features.schemas import item_schema, violations
    from recsys_core.tables import read_table

    found = violations(read_table(lake.store.open("item_features") / "item_features.parquet"), item_schema())
    return dg.AssetCheckResult(passed=not found, metadata={"violations": dg.MetadataValue.json(found)})


@dg.asset_check(asset="user_features", blocking=True)
def user_features_keep_their_schema(lake: LakeResource) -> dg.AssetCheckResult:
    """Every user feature lies within its declared range, and is missing only where that is declared."""
    from recsys_core.features.schemas import user_schema, violations
    from recsys_core.tables import read_table

    found = violations(read_table(lake.store.open("user_features") / "user_features.parquet"), user_schema())
    return dg.AssetCheckResult(passed=not found, metadata={"violations": dg.MetadataValue.json(found)})
