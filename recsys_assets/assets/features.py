"""Stage 3, features: what was known of items and of users at each cut-off."""

import dagster as dg

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.features import item_features_metadata, user_features_metadata
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.resources import LakeResource
from recsys_core.tables import tables_writer


@versioned_asset(deps=["ratings", "movies", "splits"], libraries=["polars", "pyarrow"], kinds=["polars", "parquet"])
def item_features(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """What was known of each movie at each cut-off: popularity, ratings, age, genres.

    Made from `ratings` and `movies` for every slice of `splits`; nothing later than the cut-off counts. The values are
    the same for all users of a slice, so they are computed once. Look at `missing` for features that are often
    undefined.
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
    """What was known of the user of each query, at the time of the query, from the user's ratings before it.

    Made from `ratings` and `item_features` for the queries of `splits`. The ranker needs to know whom it ranks for:
    three stars from a harsh critic mean more than three stars from a fan. Look at `missing` for features that are often
    undefined.
    """
    from recsys_core.data.splits import Splits
    from recsys_core.features.tables import user_features_by_slice

    run = AssetRun(context, lake)
    ratings = run.table("ratings", "every_rating")
    table = user_features_by_slice(ratings, run.table("item_features"), Splits.load(run.folder("splits")))
    return run.publish(
        tables_writer(user_features=table), times=ratings["timestamp"], metadata=user_features_metadata(table)
    )
