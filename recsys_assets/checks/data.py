"""What must be true of ratings and windows."""

import dagster as dg

from recsys_assets.resources import LakeResource


@dg.asset_check(asset="ratings", additional_deps=["movies"])
def ratings_are_of_known_movies(lake: LakeResource) -> dg.AssetCheckResult:
    """Every rated movie is in the movie table.

    A logged rating of an unknown movie still counts; the movie has no title.
    """
    from recsys_core.tables import read_table

    ratings = read_table(lake.store.open("ratings") / "ratings.parquet")
    unknown = ratings.join(read_table(lake.store.open("movies") / "movies.parquet"), on="item_id", how="anti")
    return dg.AssetCheckResult(
        passed=unknown.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "n_ratings_of_unknown": unknown.height,
            "share_of_unknown": unknown.height / max(ratings.height, 1),
            "unknown": dg.MetadataValue.json(unknown["item_id"].unique().sort().head(20).to_list()),
        },
    )


@dg.asset_check(asset="splits", blocking=True, additional_deps=["ratings"])
def the_build_fits_into_memory(lake: LakeResource) -> dg.AssetCheckResult:
    """The rest of the build needs no more memory than this machine has. Otherwise it is not started."""
    from recsys_assets.assets.ranking import RankingExamplesRun
    from recsys_core.data.splits import Splits
    from recsys_core.features.registry import FEATURE_NAMES
    from recsys_core.memory import Size, memory_of_this_machine, too_large
    from recsys_core.tables import read_table

    ratings = read_table(lake.store.open("ratings") / "ratings.parquet")
    splits = Splits.load(lake.store.open("splits"))
    size = Size(
        n_users=ratings["user_id"].n_unique(),
        n_items=ratings["item_id"].n_unique(),
        n_questions=splits.users.height,
        n_slices=len(splits.names),
        n_candidates=RankingExamplesRun().n_candidates,
        n_features=len(FEATURE_NAMES),
    )
    found = too_large(size, memory_of_this_machine())
    return dg.AssetCheckResult(
        passed=not found,
        description="; ".join(found) or None,
        metadata={"too_large": dg.MetadataValue.json(found)},
    )


@dg.asset_check(asset="splits", blocking=True, additional_deps=["ratings"])
def no_slice_knows_its_future(lake: LakeResource) -> dg.AssetCheckResult:
    """The windows are in order. Every target comes after its user's cut, is not fitted on, and was not rated before."""
    from recsys_core.data.leaks import leaks
    from recsys_core.data.splits import Splits
    from recsys_core.tables import read_table

    ratings = read_table(lake.store.open("ratings") / "every_rating.parquet")
    found = leaks(ratings, Splits.load(lake.store.open("splits"), with_test_targets=True))
    return dg.AssetCheckResult(passed=not found, metadata={"leaks": dg.MetadataValue.json(found)})
