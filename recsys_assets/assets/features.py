"""Stage 3, features: what was known at each cut-off, of items and of users."""

import dagster as dg

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.features import item_features_metadata, user_features_metadata
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.resources import LakeResource
from recsys_core.tables import tables_writer


@versioned_asset(deps=["ratings", "movies", "splits"], libraries=["polars", "pyarrow"], kinds=["polars", "parquet"])
def item_features(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """Each item's numbers as of every cut-off: popularity, ratings, age; nothing later than the cut-off counts.

    Counted once for everybody, since they are the same for all users who are asked as of that moment.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.features.tables import item_features_by_slice

    run = AssetRun(context, lake)
    ratings = run.table("ratings", "every_rating")
    table = item_features_by_slice(ratings, run.table("movies"), Splits.load(run.folder("splits")))
    return run.publish(
        tables_writer(item_features=table), times=ratings["timestamp"], metadata=item_features_metadata(table)
    )


@versioned_asset(
    deps=["ratings", "item_features", "splits"], libraries=["polars", "pyarrow"], kinds=["polars", "parquet"]
)
def user_features(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """Each evaluated user's numbers as of the request, from the user's own history before it.

    They tell the ranker whom it is ordering for: a harsh critic's three stars are not a fan's.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.features.tables import user_features_by_slice

    run = AssetRun(context, lake)
    ratings = run.table("ratings", "every_rating")
    table = user_features_by_slice(ratings, run.table("item_features"), Splits.load(run.folder("splits")))
    return run.publish(
        tables_writer(user_features=table), times=ratings["timestamp"], metadata=user_features_metadata(table)
    )
